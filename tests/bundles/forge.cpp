// Forged bundles, stage by stage.
#include "tests/bundles/forge.h"

#include <openssl/rsa.h>

#include <fstream>

#include "bundles/header.h"
#include "bundles/layout.h"
#include "bundles/signature_form.h"
#include "kernels/base/atomic_file.h"

namespace gf::test {

CertificateOrder authority_order() {
  return {.common_name = "test authority",
          .not_before = kNow - 30 * kDay,
          .not_after = kNow + 300 * kDay,
          .authority = true,
          .key_usage = "keyCertSign,cRLSign",
          .extended_key_usage = ""};
}

CertificateOrder signer_order() {
  return {.common_name = "test signer",
          .not_before = kNow - 30 * kDay,
          .not_after = kNow + 300 * kDay,
          .authority = false,
          .key_usage = "digitalSignature",
          .extended_key_usage = "codeSigning"};
}

Holder new_holder(const CertificateOrder& order, KeyPtr key, const Holder* issuer) {
  Holder made{std::move(key), nullptr};
  made.certificate = issue(order, made.key.get(), issuer == nullptr ? nullptr : issuer->certificate.get(),
                           issuer == nullptr ? made.key.get() : issuer->key.get());
  return made;
}

const Pki& pki() {
  static const Pki made = [] {
    Pki pki;
    CertificateOrder order = authority_order();
    order.common_name = "test root";
    pki.root = new_holder(order, new_ec_key(), nullptr);
    order.common_name = "test intermediate";
    pki.intermediate = new_holder(order, new_ec_key(), &pki.root);
    pki.signer1 = new_holder(signer_order(), new_ec_key(), &pki.intermediate);
    CertificateOrder second = signer_order();
    second.common_name = "second signer";
    pki.signer2 = new_holder(second, new_ec_key(), &pki.intermediate);
    return pki;
  }();
  return made;
}

Block bytes_of(const std::string& text) {
  const auto bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

Signature by(const Holder& holder, std::vector<const Holder*> path) {
  return [&holder, path = std::move(path)](const std::string& manifest) {
    const Digest digest = sha384(manifest);
    const std::string attributes = signed_attributes(digest);
    const DigestContextPtr context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* key_context = nullptr;
    REQUIRE(EVP_DigestSignInit(context.get(), &key_context, EVP_sha384(), nullptr, holder.key.get()) == 1);
    if (EVP_PKEY_get_base_id(holder.key.get()) == EVP_PKEY_RSA) {
      REQUIRE(EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1);
      REQUIRE(EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, 48) == 1);
    }
    const auto* input = reinterpret_cast<const unsigned char*>(attributes.data());
    std::string value(4096, '\0');
    size_t size = value.size();
    REQUIRE(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(value.data()), &size, input,
                           attributes.size()) == 1);
    value.resize(size);
    std::vector<const X509*> others;
    for (const Holder* other : path) others.push_back(other->certificate.get());
    return bytes_of(encode_signature(holder.certificate.get(), others, digest, value));
  };
}

namespace {

std::string payload_of(const Manifest& manifest, const std::vector<PlainFile>& files) {
  std::string payload;
  for (size_t i = 0; i < files.size(); ++i) payload += framing_before(manifest, i).bytes + files[i].bytes;
  return payload + framing_before(manifest, files.size()).bytes;
}

std::string assemble(const std::string& json, const std::vector<Block>& signatures, const std::string& table,
                     const std::string& payload) {
  std::vector<uint64_t> sizes;
  for (const Block& block : signatures) sizes.push_back(block.size());
  const Header header = Header::tiling(json.size(), sizes, table.size(), payload.size());
  std::string file(as_text(encode_header(header)));
  const auto add = [&file](std::string_view region) {
    file += region;
    file.resize(rounded_up(file.size()), '\0');
  };
  add(json);
  for (const Block& block : signatures) add(as_text(block));
  add(table);
  return file + payload;
}

}  // namespace

std::string forge(const Recipe& recipe) {
  Manifest manifest;
  manifest.stream = "test-stream";
  manifest.version = recipe.version;
  manifest.created = kNow - 2 * kDay;
  manifest.expires = kNow + 100 * kDay;
  manifest.hosts = recipe.hosts;
  for (const PlainFile& file : recipe.files) {
    FileEntry& entry = manifest.files.emplace_back();
    entry.name = file.name;
    entry.size = file.bytes.size();
    entry.kind = file.kind;
    entry.sha384 = sha384(file.bytes);
  }
  if (recipe.plan) recipe.plan(manifest);
  lay_out(manifest);
  std::string payload = payload_of(manifest, recipe.files);
  if (recipe.payload) recipe.payload(manifest, payload);
  std::vector<Digest> table;
  for (const Chunk& chunk : cut_into_chunks(manifest).chunks)
    table.push_back(sha384(std::string_view(payload).substr(chunk.offset, chunk.size)));
  if (recipe.table) recipe.table(table);
  std::string table_bytes;
  for (const Digest& digest : table) table_bytes += as_text(digest.bytes);
  manifest.table_sha384 = sha384(table_bytes);
  if (recipe.manifest) recipe.manifest(manifest);
  std::string json = manifest_json(manifest);
  if (recipe.json) recipe.json(json);
  std::vector<Block> signatures;
  for (const Signature& signature : recipe.signatures) signatures.push_back(signature(json));
  std::string file = assemble(json, signatures, table_bytes, payload);
  if (recipe.file) recipe.file(file);
  return file;
}

Scene::Scene() {
  std::filesystem::create_directory(folder / "anchors");
  std::filesystem::create_directory(folder / "crls");
  write_atomically(folder / "anchors/root.pem", to_pem(pki().root.certificate.get()));
  trust.anchors = folder / "anchors";
  trust.state = folder / "state";
  trust.hosts = {"edge-7"};
  trust.threshold.fill(1);
}

std::filesystem::path Scene::write() {
  const std::filesystem::path path = folder / "x.gfb";
  std::ofstream(path, std::ios::binary | std::ios::trunc) << forge(recipe);
  return path;
}

void Scene::add_crl(const std::string& name, const CrlOrder& order, const Holder& issuer) {
  trust.crls = folder / "crls";
  write_atomically(folder / ("crls/" + name),
                   to_pem(issue_crl(order, issuer.certificate.get(), issuer.key.get()).get()));
}

void Scene::use_valid_crls() {
  const CrlOrder order{.number = 7, .last_update = kNow - kDay, .next_update = kNow + 10 * kDay, .revoked = {}};
  add_crl("root.crl", order, pki().root);
  add_crl("intermediate.crl", order, pki().intermediate);
  trust.require_crls = true;
}

void check_refused(Scene& scene, Code code, const std::string& words) {
  const std::filesystem::path path = scene.write();
  const Error error =
      error_of([&] { Bundle::open(path, scene.trust, scene.now).verify_payload({}, PlainDigests::check); });
  INFO(error.what());
  CHECK(error.code() == code);
  CHECK_THAT(error.message(), Catch::Matchers::Contains(words));
}

void put_number(std::string& bytes, size_t at, uint64_t value) {
  for (size_t i = 0; i < 8; ++i) bytes.at(at + i) = static_cast<char>((value >> (8 * i)) & 0xFF);
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

}  // namespace gf::test
