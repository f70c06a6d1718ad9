// Lines and JSON about bundles.
#include "bundles/describe.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "bundles/certificates.h"
#include "bundles/signature_form.h"
#include "kernels/base/error.h"

namespace gf {
namespace {

nlohmann::json describe_manifest(const Manifest& manifest) {
  return {{"stream", manifest.stream},
          {"version", manifest.version},
          {"created", format_time(manifest.created)},
          {"expires", format_time(manifest.expires)},
          {"hosts", manifest.hosts},
          {"payload_bytes", manifest.payload_size}};
}

nlohmann::json describe_file(const FileEntry& file) {
  return {{"name", file.name},
          {"kind", std::string(kind_name(file.kind))},
          {"size", file.size},
          {"offset", file.offset},
          {"sha384", file.sha384.hex()}};
}

std::vector<std::string> manifest_lines(const Manifest& manifest) {
  std::vector<std::string> lines = {"stream  " + manifest.stream + " version " + std::to_string(manifest.version),
                                    "created " + format_time(manifest.created),
                                    "expires " + format_time(manifest.expires)};
  std::string hosts;
  for (const std::string& host : manifest.hosts) hosts += " " + host;
  lines.push_back("hosts  " + (hosts.empty() ? std::string(" any") : hosts));
  for (const FileEntry& file : manifest.files)
    lines.push_back("file    " + std::string(kind_name(file.kind)) + " " + file.name + " " + std::to_string(file.size) +
                    " bytes, sha384 " + file.sha384.hex());
  return lines;
}

// Who a signature claims to be by, or why that cannot be told.
std::string claimed_signer(std::span<const std::byte> signature, const Digest& content) {
  try {
    const SignatureForm form = parse_signature(signature, content);
    return "claims to be by " + subject_of(form.leaf.get()) + ", key " + key_digest(form.leaf.get()).hex();
  } catch (const Error& error) {
    return error.message();
  }
}

}  // namespace

nlohmann::json describe(const Bundle& bundle) {
  nlohmann::json json = describe_manifest(bundle.manifest());
  json["verified"] = true;
  json["bundle"] = bundle.digest().hex();
  for (const SignerIdentity& signer : bundle.signers())
    json["signers"].push_back({{"subject", signer.subject}, {"key", signer.key.hex()}});
  for (const FileEntry& file : bundle.manifest().files) {
    nlohmann::json entry = describe_file(file);
    entry["identity"] = file.identity.hex();
    json["files"].push_back(std::move(entry));
  }
  return json;
}

std::string bundle_text(const Bundle& bundle) {
  std::ostringstream text;
  text << "bundle  " << bundle.digest().hex() << "\n";
  for (const std::string& line : manifest_lines(bundle.manifest())) text << printable(line) << "\n";
  for (const SignerIdentity& signer : bundle.signers())
    text << "signed by " << signer.subject << ", key " << signer.key.hex() << "\n";
  return text.str();
}

std::string unverified_text(const UnverifiedBundle& bundle) {
  const Digest digest = sha384(bundle.manifest_bytes);
  std::ostringstream text;
  text << "UNVERIFIED bundle  " << digest.hex() << "\n";
  for (const std::string& line : manifest_lines(bundle.manifest)) text << "UNVERIFIED " << printable(line) << "\n";
  for (size_t i = 0; i < bundle.signatures.size(); ++i)
    text << "UNVERIFIED signature " << i + 1 << ": " << printable(claimed_signer(bundle.signatures[i], digest)) << "\n";
  if (bundle.signatures.empty()) text << "UNVERIFIED no signatures\n";
  return text.str();
}

nlohmann::json describe_unverified(const UnverifiedBundle& bundle) {
  const Digest digest = sha384(bundle.manifest_bytes);
  nlohmann::json json = describe_manifest(bundle.manifest);
  json["verified"] = false;
  json["warning"] = "UNVERIFIED: nothing here was checked against any trust";
  json["bundle"] = digest.hex();
  json["signatures"] = nlohmann::json::array();
  for (const auto& signature : bundle.signatures) json["signatures"].push_back(claimed_signer(signature, digest));
  for (const FileEntry& file : bundle.manifest.files) json["files"].push_back(describe_file(file));
  return json;
}

}  // namespace gf
