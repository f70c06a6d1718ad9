// Certificates, keys and revocation lists: reading them, the rules for those that we accept, and
// the path from a signer to an anchor. FORMAT.md, "Certificates".
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bundles/cms.h"
#include "bundles/openssl.h"

namespace gf {

// All certificates of a PEM file. Throws Code::input if there is none or one is damaged.
std::vector<CertificatePtr> read_certificates(const std::filesystem::path& pem);
// An unencrypted private key. Throws Code::input.
KeyPtr read_private_key(const std::filesystem::path& pem);

std::string subject_of(const X509* certificate);  // RFC 4514, escaped for terminals
std::string certificate_der(const X509* certificate);
// SHA-384 of the SubjectPublicKeyInfo as the certificate has it.
Digest key_digest(const X509* certificate);

enum class KeyUse { signing, authority };
// Signing: P-384, or RSA of 3072 to 16384 bits. Authorities may also have P-521. Each key in its one
// encoding (named curve, uncompressed point; rsaEncryption), so that one key has one digest. Throws Code::not_trusted.
void check_key(const X509* certificate, KeyUse use);
// Not a CA; keyUsage digitalSignature; codeSigning in extendedKeyUsage. Throws Code::not_trusted.
void check_leaf(X509* certificate);

// Steps of FORMAT.md's "Certificates": the path from `leaf` over `others` to an anchor, dates, and
// revocation at `when`. `others` must be exactly the certificates between leaf and anchor. Throws
// Code::not_trusted. Returns the numbers of the revocation lists consulted.
std::vector<CrlNumber> check_path(X509* leaf, const std::vector<X509*>& others, const Trust& trust, Time when,
                                  const std::vector<CrlNumber>& highest_seen);

}  // namespace gf
