// Detached CMS signatures (RFC 5652) in the single form that this project writes: DER, version 1,
// one signer, SHA-384, two signed attributes, the path's certificates without the anchor. A
// signature in any other form is refused, so that no byte of it can be changed. FORMAT.md,
// "Signatures".
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bundles/trust.h"
#include "kernels/base/digest.h"
#include "kernels/base/text.h"

namespace gf {

// The number of the newest revocation list seen from an issuer.
struct CrlNumber {
  Digest issuer_key;   // SHA-384 of the issuer's SubjectPublicKeyInfo
  std::string number;  // 40 hexadecimal digits
};

struct SignerIdentity {
  std::string subject;                 // RFC 4514 text, escaped for terminals
  Digest key;                          // SHA-384 of the leaf's SubjectPublicKeyInfo
  std::vector<CrlNumber> crl_numbers;  // of the lists that were consulted
};

// Called with a line for a person whenever a check has passed: (step, what was found).
using Explain = std::function<void(std::string_view step, const std::string& found)>;

// Signs with an unencrypted PEM key: ECDSA P-384, or RSA of at least 3072 bits with PSS. Throws
// Code::input if key, certificate and chain do not fit each other, or if the chain holds an anchor.
std::vector<std::byte> cms_sign_detached(std::span<const std::byte> content, const std::filesystem::path& key_pem,
                                         const std::filesystem::path& cert_pem,
                                         const std::vector<std::filesystem::path>& chain_pem);

// Form, signature, path to an anchor, key usage, dates against max(now, time floor), revocation.
// Throws Code::corrupt (form), Code::not_trusted (the rest) or Code::stale (the clock). Reads the
// state folder's time floor and CRL numbers; writes nothing.
SignerIdentity cms_verify_detached(std::span<const std::byte> cms_der, std::span<const std::byte> content,
                                   const Trust& trust, Time now);

// As above, and the signer's key must be one of trust.report_signers where that list is given.
SignerIdentity verify_report_signature(std::span<const std::byte> cms_der, std::span<const std::byte> content,
                                       const Trust& trust, Time now);

}  // namespace gf
