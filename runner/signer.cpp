// Both sides of signing: the request, and the child that reads the key.
#include "runner/signer.h"

#include <nlohmann/json.hpp>

#include "bundles/cms.h"
#include "kernels/base/error.h"
#include "kernels/base/strict_json.h"
#include "runner/channel.h"
#include "runner/launcher.h"

namespace gf {
namespace {

using nlohmann::json;

// A detached signature with its certificates is a few KB; anything larger is not one.
constexpr size_t kMaxSignatureBytes = size_t{64} << 10;

}  // namespace

std::vector<std::byte> sign_in_child(Launcher& launcher, const ReportKey& key, std::string_view manifest) {
  json chain = json::array();
  for (const std::filesystem::path& path : key.chain) chain.push_back(path.string());
  const json request = {
      {"key", key.key.string()}, {"certificate", key.certificate.string()}, {"chain", chain}, {"manifest", manifest}};
  return with_context("while signing the report with " + key.key.string(), [&] {
    Child child = launcher.launch("signer", request);
    const std::optional<Message> answer = child.channel().receive();
    if (!answer) throw Error(Code::internal, "the process that signs ended without an answer");
    const json& bytes = answer->body.at("signature");
    if (!bytes.is_binary() || bytes.get_binary().empty() || bytes.get_binary().size() > kMaxSignatureBytes)
      throw Error(Code::internal, "the process that signs sent no signature");
    child.wait();
    const auto span = std::as_bytes(std::span(bytes.get_binary()));
    return std::vector<std::byte>(span.begin(), span.end());
  });
}

int signer_main(Channel& channel, const json& request, std::vector<Fd>&) {
  JsonObject object(request, "request");
  std::vector<std::filesystem::path> chain;
  for (const std::string& path : object.strings("chain")) chain.emplace_back(path);
  const std::string manifest = object.string("manifest");
  const std::vector<std::byte> signature =
      cms_sign_detached(as_bytes(manifest), object.string("key"), object.string("certificate"), chain);
  std::vector<uint8_t> bytes;
  bytes.reserve(signature.size());
  for (const std::byte byte : signature) bytes.push_back(std::to_integer<uint8_t>(byte));
  channel.send({{"signature", json::binary(std::move(bytes))}});
  return 0;
}

}  // namespace gf
