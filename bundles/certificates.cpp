// Reading certificates and keys, and what a certificate must be.
#include "bundles/certificates.h"

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "bundles/limits.h"
#include "kernels/base/error.h"
#include "kernels/base/fd.h"

namespace gf {
namespace {

constexpr int kLeastRsaBits = 3072;
constexpr int kMostRsaBits = 16384;  // a larger key only costs time
constexpr size_t kP384PointBytes = 97;
constexpr size_t kP521PointBytes = 133;

BioPtr memory_bio(const std::string& text) {
  // Inputs are capped far below the 2 GiB at which this interface's int would wrap.
  BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!bio) throw Error(Code::internal, "OpenSSL could not allocate a buffer");
  return bio;
}

Error untrusted(const X509* certificate, std::string_view why) {
  return Error(Code::not_trusted, "certificate of ", subject_of(certificate), ": ", why);
}

// The curve's name, or "" for parameters that are spelled out.
std::string curve_of(EVP_PKEY* key) {
  char name[64];
  size_t length = 0;
  if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof name, &length) != 1) return "";
  return std::string(name, length);
}

void check_curve(const X509* certificate, EVP_PKEY* key, KeyUse use) {
  const std::string curve = curve_of(key);
  size_t expected = 0;
  if (curve == "secp384r1" || curve == "P-384") expected = kP384PointBytes;
  if (use == KeyUse::authority && (curve == "secp521r1" || curve == "P-521")) expected = kP521PointBytes;
  if (expected == 0)
    throw untrusted(certificate, "its key is on curve " + (curve.empty() ? "(unnamed)" : printable(curve)) +
                                     ", expected P-384" + (use == KeyUse::authority ? " or P-521" : ""));
  const ASN1_BIT_STRING* point = X509_get0_pubkey_bitstr(certificate);
  const bool uncompressed = point != nullptr && static_cast<size_t>(ASN1_STRING_length(point)) == expected &&
                            ASN1_STRING_get0_data(point)[0] == 0x04;
  if (!uncompressed) throw untrusted(certificate, "its key is not an uncompressed point");
  X509_ALGOR* algorithm = nullptr;
  X509_PUBKEY_get0_param(nullptr, nullptr, nullptr, &algorithm, X509_get_X509_PUBKEY(certificate));
  int kind = 0;
  X509_ALGOR_get0(nullptr, &kind, nullptr, algorithm);
  if (kind != V_ASN1_OBJECT) throw untrusted(certificate, "its curve is not given by name");
}

}  // namespace

std::vector<CertificatePtr> read_certificates(const std::filesystem::path& pem) {
  const std::string text = read_text_file(pem, kMaxPemBytes);
  const BioPtr bio = memory_bio(text);
  std::vector<CertificatePtr> found;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) found.emplace_back(certificate);
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (found.empty() || !at_end)
    throw Error(Code::input, pem.native(), ": expected certificates in PEM form, found ", found.size(),
                " and then: ", openssl_reason());
  ERR_clear_error();
  return found;
}

KeyPtr read_private_key(const std::filesystem::path& pem) {
  std::string text = read_text_file(pem, kMaxPemBytes);
  const BioPtr bio = memory_bio(text);
  // The callback gives no pass phrase, so that nothing waits at a prompt.
  const auto no_phrase = [](char*, int, int, void*) { return -1; };
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_phrase, nullptr));
  OPENSSL_cleanse(text.data(), text.size());
  if (!key)
    throw Error(Code::input, pem.native(), ": expected an unencrypted private key in PEM form: ", openssl_reason());
  return key;
}

std::string subject_of(const X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &data);
  return printable(shortened(std::string_view(data, length > 0 ? static_cast<size_t>(length) : 0), 400));
}

std::string certificate_der(const X509* certificate) {
  unsigned char* bytes = nullptr;
  const int length = i2d_X509(certificate, &bytes);
  if (length <= 0) throw Error(Code::internal, "OpenSSL could not encode a certificate");
  std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(length));
  OPENSSL_free(bytes);
  return der;
}

Digest key_digest(const X509* certificate) {
  unsigned char* bytes = nullptr;
  const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &bytes);
  if (length <= 0) throw Error(Code::internal, "OpenSSL could not encode a public key");
  const Digest digest = sha384(std::as_bytes(std::span(bytes, static_cast<size_t>(length))));
  OPENSSL_free(bytes);
  return digest;
}

void check_key(const X509* certificate, KeyUse use) {
  EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) throw untrusted(certificate, "its public key cannot be read: " + openssl_reason());
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC: return check_curve(certificate, key, use);
    case EVP_PKEY_RSA:
      if (const int bits = EVP_PKEY_get_bits(key); bits < kLeastRsaBits || bits > kMostRsaBits)
        throw untrusted(certificate, "its RSA key has " + std::to_string(bits) + " bits, expected 3072 to 16384");
      return;
    default: throw untrusted(certificate, "its key is of another kind than ECDSA P-384 or RSA");
  }
}

void check_leaf(X509* certificate) {
  check_key(certificate, KeyUse::signing);
  if (X509_check_ca(certificate) != 0) throw untrusted(certificate, "it is a certification authority, not a signer");
  // X509_get_key_usage gives all bits where the extension is missing; a signer must have it.
  const uint32_t flags = X509_get_extension_flags(certificate);
  if ((flags & EXFLAG_INVALID) != 0) throw untrusted(certificate, "an extension is malformed");
  if ((flags & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE) == 0)
    throw untrusted(certificate, "keyUsage lacks digitalSignature");
  if ((flags & EXFLAG_XKUSAGE) == 0 || (X509_get_extended_key_usage(certificate) & XKU_CODE_SIGN) == 0)
    throw untrusted(certificate, "extendedKeyUsage lacks codeSigning");
}

}  // namespace gf
