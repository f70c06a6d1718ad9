// gf-bundle dev-pki: a root, an intermediate, two signers and a report key in one folder.
#include "bundles/certificates.h"
#include "bundles/pki.h"
#include "kernels/base/atomic_file.h"
#include "kernels/base/error.h"

namespace gf {
namespace {

constexpr auto kValidFor = std::chrono::days(3650);

struct Holder {
  KeyPtr key;
  CertificatePtr certificate;
};

CertificateOrder order_for(const std::string& name, Time now) {
  // A day back, so that a host whose clock is a little slow accepts it at once.
  return {
      .common_name = "gf development " + name, .not_before = now - std::chrono::days(1), .not_after = now + kValidFor};
}

Holder new_authority(const std::string& name, Time now, const Holder* above) {
  CertificateOrder order = order_for(name, now);
  order.authority = true;
  order.key_usage = "keyCertSign,cRLSign";
  Holder made{new_ec_key(), nullptr};
  made.certificate = above == nullptr ? issue(order, made.key.get(), nullptr, made.key.get())
                                      : issue(order, made.key.get(), above->certificate.get(), above->key.get());
  return made;
}

Holder new_signer(const std::string& name, Time now, const Holder& above) {
  CertificateOrder order = order_for(name, now);
  order.key_usage = "digitalSignature";
  order.extended_key_usage = "codeSigning";
  Holder made{new_ec_key(), nullptr};
  made.certificate = issue(order, made.key.get(), above.certificate.get(), above.key.get());
  return made;
}

void write(const std::filesystem::path& path, const std::string& text, mode_t mode) {
  write_atomically(path, text, mode, Existing::refuse);
}

void write_holder(const std::filesystem::path& folder, const std::string& name, const Holder& holder) {
  write(folder / (name + ".key"), to_pem(holder.key.get()), 0600);
  write(folder / (name + ".pem"), to_pem(holder.certificate.get()), 0644);
}

std::string empty_crl(const Holder& authority, Time now) {
  const CrlOrder order{
      .number = 1, .last_update = now - std::chrono::days(1), .next_update = now + kValidFor, .revoked = {}};
  return to_pem(issue_crl(order, authority.certificate.get(), authority.key.get()).get());
}

std::string starter_trust(const Holder& signer1, const Holder& signer2, const Holder& report) {
  const auto key = [](const Holder& holder) { return "\"" + key_digest(holder.certificate.get()).hex() + "\""; };
  return "# Whom this host believes. Every key is described in bundles/FORMAT.md, \"The trust file\".\n"
         "# These are DEVELOPMENT keys: replace anchors, crls and signers before production.\n"
         "anchors = \"anchors\"\n"
         "crls = \"crls\"\n"
         "require_crls = true\n"
         "state = \"state\"\n"
         "allow_replay = true\n"
         "\n"
         "[threshold]   # distinct keys that must have signed, by kind of content\n"
         "default = 1\n"
         "\n"
         "[signers]     # keys that count: SHA-384 of the public key, as gf-bundle verify prints it\n"
         "default = [\n  " +
         key(signer1) + ",  # signer1\n  " + key(signer2) +
         ",  # signer2\n]\n"
         "report = [" +
         key(report) + "]\n";
}

}  // namespace

void write_development_pki(const std::filesystem::path& folder, Time now) {
  if (std::filesystem::exists(folder) && !std::filesystem::is_empty(folder))
    throw Error(Code::input, folder.native(),
                " is there already and not empty: choose a new folder, keys are never overwritten");
  make_folders(folder, 0755);
  make_folders(folder / "anchors", 0755);
  make_folders(folder / "crls", 0755);
  make_folders(folder / "authority", 0700);
  const Holder root = new_authority("root", now, nullptr);
  const Holder intermediate = new_authority("intermediate", now, &root);
  const Holder signer1 = new_signer("signer 1", now, intermediate);
  const Holder signer2 = new_signer("signer 2", now, intermediate);
  const Holder report = new_signer("report key", now, intermediate);
  write(folder / "anchors" / "root.pem", to_pem(root.certificate.get()), 0644);
  write(folder / "authority" / "root.key", to_pem(root.key.get()), 0600);
  write(folder / "authority" / "intermediate.key", to_pem(intermediate.key.get()), 0600);
  write(folder / "intermediate.pem", to_pem(intermediate.certificate.get()), 0644);
  write(folder / "chain.pem", to_pem(intermediate.certificate.get()), 0644);
  write(folder / "crls" / "root.crl", empty_crl(root, now), 0644);
  write(folder / "crls" / "intermediate.crl", empty_crl(intermediate, now), 0644);
  write_holder(folder, "signer1", signer1);
  write_holder(folder, "signer2", signer2);
  write_holder(folder, "report", report);
  write(folder / "trust.toml", starter_trust(signer1, signer2, report), 0644);
}

}  // namespace gf
