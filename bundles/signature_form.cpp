// RFC 5652 SignedData: refusing what we do not write, then writing it again and comparing.
#include "bundles/signature_form.h"

#include <openssl/x509v3.h>

#include <algorithm>

#include "bundles/certificates.h"
#include "bundles/der.h"
#include "bundles/limits.h"
#include "kernels/base/error.h"
#include "kernels/base/fd.h"

namespace gf {
namespace {

// Contents of object identifiers.
constexpr std::string_view kData("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", 9);           // 1.2.840.113549.1.7.1
constexpr std::string_view kSignedData("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", 9);     // 1.2.840.113549.1.7.2
constexpr std::string_view kContentType("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03", 9);    // 1.2.840.113549.1.9.3
constexpr std::string_view kMessageDigest("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04", 9);  // 1.2.840.113549.1.9.4
constexpr std::string_view kSha384("\x60\x86\x48\x01\x65\x03\x04\x02\x02", 9);         // 2.16.840.1.101.3.4.2.2
constexpr std::string_view kEcdsaSha384("\x2a\x86\x48\xce\x3d\x04\x03\x03", 8);        // 1.2.840.10045.4.3.3
constexpr std::string_view kRsaPss("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", 9);         // 1.2.840.113549.1.1.10
constexpr std::string_view kMgf1("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08", 9);           // 1.2.840.113549.1.1.8
constexpr uint8_t kSaltBytes = 48;

using der::element;
using der::object_identifier;

std::string sequence(std::string_view content) { return element(der::kSequence, content); }
// Parameters absent, as RFC 5754 has it for SHA-2.
std::string sha384_algorithm() { return sequence(object_identifier(kSha384)); }

std::string signature_algorithm(const X509* leaf) {
  if (EVP_PKEY_get_base_id(X509_get0_pubkey(leaf)) == EVP_PKEY_EC) return sequence(object_identifier(kEcdsaSha384));
  // RFC 4055: hash, mask generation and salt length, each in its context tag.
  const std::string mask = sequence(object_identifier(kMgf1) + sha384_algorithm());
  return sequence(object_identifier(kRsaPss) +
                  sequence(element(der::kContext0, sha384_algorithm()) + element(der::kContext0 + 1, mask) +
                           element(der::kContext0 + 2, der::small_integer(kSaltBytes))));
}

template <typename T, typename Encode>
std::string encoded(const T* object, Encode encode) {
  unsigned char* bytes = nullptr;
  const int length = encode(object, &bytes);
  if (length <= 0) throw Error(Code::internal, "OpenSSL could not encode a part of a certificate");
  std::string text(reinterpret_cast<char*>(bytes), static_cast<size_t>(length));
  OPENSSL_free(bytes);
  return text;
}

Error wrong_form(std::string_view why) { return Error(Code::corrupt, "not in the form of a signature: ", why); }

CmsPtr parse_cms(std::span<const std::byte> bytes) {
  if (bytes.empty() || bytes.size() > kMaxSignatureBytes)
    throw wrong_form("it has " + std::to_string(bytes.size()) + " bytes, expected 1 to " +
                     std::to_string(kMaxSignatureBytes));
  if (as_text(bytes).starts_with("-----BEGIN")) throw wrong_form("it is PEM, expected DER");
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  const unsigned char* const end = at + bytes.size();
  CmsPtr cms(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(bytes.size())));
  if (!cms) throw wrong_form("it is no complete CMS structure: " + openssl_reason());
  if (at != end) throw wrong_form(std::to_string(end - at) + " bytes after the CMS structure");
  return cms;
}

void check_shape(CMS_ContentInfo* cms) {
  if (OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed) throw wrong_form("another kind of CMS than SignedData");
  if (CMS_is_detached(cms) != 1) throw wrong_form("content is attached, expected a detached signature");
  if (OBJ_obj2nid(CMS_get0_eContentType(cms)) != NID_pkcs7_data) throw wrong_form("its content type is not data");
  STACK_OF(X509_CRL)* crls = CMS_get1_crls(cms);
  const bool has_crls = crls != nullptr;
  sk_X509_CRL_pop_free(crls, X509_CRL_free);
  // An old list inside would hide a newer one in the local folder.
  if (has_crls) throw wrong_form("a revocation list (CRL) inside, and those come from the local folder only");
}

CMS_SignerInfo* only_signer(CMS_ContentInfo* cms) {
  STACK_OF(CMS_SignerInfo)* signers = CMS_get0_SignerInfos(cms);
  const int count = signers == nullptr ? 0 : sk_CMS_SignerInfo_num(signers);
  if (count != 1) throw wrong_form(std::to_string(count) + " SignerInfos, expected exactly one");
  return sk_CMS_SignerInfo_value(signers, 0);
}

void check_signer(CMS_SignerInfo* signer, const Digest& content) {
  X509_ALGOR* digest = nullptr;
  CMS_SignerInfo_get0_algs(signer, nullptr, nullptr, &digest, nullptr);
  if (OBJ_obj2nid(digest->algorithm) != NID_sha384) throw wrong_form("its digest algorithm is not SHA-384");
  // Without signed attributes a signature over attributes could be passed off as one over content.
  if (CMS_signed_get_attr_count(signer) <= 0) throw wrong_form("no signed attributes");
  if (CMS_signed_get_attr_count(signer) != 2 || CMS_signed_get_attr_by_NID(signer, NID_pkcs9_contentType, -1) < 0)
    throw wrong_form("expected the signed attributes contentType and messageDigest and no others");
  if (CMS_unsigned_get_attr_count(signer) > 0) throw wrong_form("unsigned attributes");
  const auto* found = static_cast<const ASN1_OCTET_STRING*>(
      CMS_signed_get0_data_by_OBJ(signer, OBJ_nid2obj(NID_pkcs9_messageDigest), -3, V_ASN1_OCTET_STRING));
  if (found == nullptr) throw wrong_form("expected one messageDigest attribute");
  const auto length = static_cast<size_t>(ASN1_STRING_length(found));
  const auto bytes = std::as_bytes(std::span(ASN1_STRING_get0_data(found), length));
  if (!std::equal(bytes.begin(), bytes.end(), content.bytes.begin(), content.bytes.end()))
    throw Error(Code::corrupt,
                "the signature is over other bytes than these: they were changed after signing, "
                "or the signature belongs to something else");
}

std::vector<CertificatePtr> certificates_in(CMS_ContentInfo* cms) {
  STACK_OF(X509)* stack = CMS_get1_certs(cms);
  std::vector<CertificatePtr> certificates;
  while (X509* certificate = sk_X509_shift(stack)) certificates.emplace_back(certificate);
  sk_X509_free(stack);
  if (certificates.empty() || certificates.size() > kMaxCertificates)
    throw wrong_form(std::to_string(certificates.size()) + " certificates, expected 1 to " +
                     std::to_string(kMaxCertificates));
  return certificates;
}

}  // namespace

std::string signed_attributes(const Digest& content) {
  const std::string type = sequence(object_identifier(kContentType) + der::set_of({object_identifier(kData)}));
  const std::string digest = element(der::kOctetString, as_text(content.bytes));
  return der::set_of({type, sequence(object_identifier(kMessageDigest) + der::set_of({digest}))});
}

std::string encode_signature(const X509* leaf, const std::vector<const X509*>& others, const Digest& content,
                             std::string_view signature) {
  std::vector<std::string> certificates = {certificate_der(leaf)};
  for (const X509* other : others) certificates.push_back(certificate_der(other));
  const std::string signer_id = sequence(encoded(X509_get_issuer_name(leaf), i2d_X509_NAME) +
                                         encoded(X509_get0_serialNumber(leaf), i2d_ASN1_INTEGER));
  std::string attributes = signed_attributes(content);
  attributes[0] = static_cast<char>(der::kContext0);  // [0] IMPLICIT in place of SET
  const std::string signer = sequence(der::small_integer(1) + signer_id + sha384_algorithm() + attributes +
                                      signature_algorithm(leaf) + element(der::kOctetString, signature));
  const std::string signed_data =
      sequence(der::small_integer(1) + der::set_of({sha384_algorithm()}) + sequence(object_identifier(kData)) +
               der::set_of(std::move(certificates), der::kContext0) + der::set_of({signer}));
  return sequence(object_identifier(kSignedData) + element(der::kContext0, signed_data));
}

SignatureForm parse_signature(std::span<const std::byte> bytes, const Digest& content) {
  const CmsPtr cms = parse_cms(bytes);
  check_shape(cms.get());
  CMS_SignerInfo* signer = only_signer(cms.get());
  check_signer(signer, content);

  SignatureForm form;
  for (CertificatePtr& certificate : certificates_in(cms.get())) {
    const bool is_leaf = !form.leaf && CMS_SignerInfo_cert_cmp(signer, certificate.get()) == 0;
    if (is_leaf)
      form.leaf = std::move(certificate);
    else
      form.others.push_back(std::move(certificate));
  }
  if (!form.leaf) throw wrong_form("the signer's own certificate is not inside");
  check_key(form.leaf.get(), KeyUse::signing);
  const ASN1_OCTET_STRING* value = CMS_SignerInfo_get0_signature(signer);
  form.signature.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                        static_cast<size_t>(ASN1_STRING_length(value)));

  std::vector<const X509*> others;
  for (const CertificatePtr& other : form.others) others.push_back(other.get());
  const std::string expected = encode_signature(form.leaf.get(), others, content, form.signature);
  const std::string_view found = as_text(bytes);
  if (expected != found) {
    const auto differs = std::mismatch(expected.begin(), expected.end(), found.begin(), found.end()).second;
    throw wrong_form("byte " + std::to_string(differs - found.begin()) +
                     " differs from the one DER encoding that is accepted");
  }
  return form;
}

}  // namespace gf
