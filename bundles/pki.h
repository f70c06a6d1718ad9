// Issuing certificates and revocation lists: a development PKI, so that nobody needs an openssl
// recipe to start. Keys of a real deployment come from the organisation's own authority.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bundles/openssl.h"
#include "kernels/base/text.h"

namespace gf {

struct CertificateOrder {
  std::string common_name;
  Time not_before;
  Time not_after;
  bool authority = false;
  std::string key_usage = {};           // OpenSSL's words: "digitalSignature"; empty: no such extension
  std::string extended_key_usage = {};  // "codeSigning"; empty: none
  const char* digest = "SHA384";
};

KeyPtr new_ec_key(const char* curve = "P-384");
KeyPtr new_rsa_key(unsigned bits);
// `issuer` null: self-signed.
CertificatePtr issue(const CertificateOrder& order, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key);

struct CrlOrder {
  uint64_t number = 1;
  Time last_update;
  Time next_update;
  std::vector<const X509*> revoked;
};
CrlPtr issue_crl(const CrlOrder& order, X509* issuer, EVP_PKEY* issuer_key);

std::string to_pem(const X509* certificate);
std::string to_pem(const X509_CRL* crl);
std::string to_pem(EVP_PKEY* private_key);

// Writes anchors/root.pem, intermediate.pem, chain.pem, signer1 and signer2 (.key, .pem), report
// (.key, .pem), crls/, authority/ (the CAs' keys) and a starter trust.toml. Throws Code::input if
// the folder is there and not empty.
void write_development_pki(const std::filesystem::path& folder, Time now);

}  // namespace gf
