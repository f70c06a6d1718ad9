// One signature block taken apart and found to be, byte for byte, what we would have written.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bundles/openssl.h"
#include "kernels/base/digest.h"

namespace gf {

struct SignatureForm {
  CertificatePtr leaf;
  std::vector<CertificatePtr> others;
  std::string signature;  // the signature value
};

// Step 2. Throws Code::corrupt naming what differs from the one form.
SignatureForm parse_signature(std::span<const std::byte> der, const Digest& content);

// The attributes that are signed, as a SET (what the signature value is made over).
std::string signed_attributes(const Digest& content);
// The whole block. Throws Code::not_trusted for a key of another kind than check_key allows.
std::string encode_signature(const X509* leaf, const std::vector<const X509*>& others, const Digest& content,
                             std::string_view signature);

}  // namespace gf
