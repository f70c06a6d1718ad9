// Certificates and revocation lists (RFC 5280) through OpenSSL.
#include "bundles/pki.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "kernels/base/error.h"

namespace gf {
namespace {

using AsnTimePtr = std::unique_ptr<ASN1_TIME, FreeWith<ASN1_TIME_free>>;
using AsnIntegerPtr = std::unique_ptr<ASN1_INTEGER, FreeWith<ASN1_INTEGER_free>>;

void must(bool worked, std::string_view what) {
  if (!worked) throw Error(Code::unsupported, "OpenSSL could not make ", what, ": ", openssl_reason());
}

AsnTimePtr asn_time(Time time) {
  AsnTimePtr value(ASN1_TIME_adj(nullptr, static_cast<std::time_t>(time.time_since_epoch().count()), 0, 0));
  must(value != nullptr, "a time");
  return value;
}

void set_random_serial(X509* certificate) {
  unsigned char bytes[16];
  must(RAND_bytes(bytes, sizeof bytes) == 1, "a serial number");
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x3F) | 0x40);  // positive, and of full length
  const BignumPtr number(BN_bin2bn(bytes, sizeof bytes, nullptr));
  must(BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr, "a serial number");
}

void add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509V3_set_ctx_nodb(&context);
  const std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  must(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1, "an extension");
}

const EVP_MD* digest_named(const char* name) {
  const EVP_MD* digest = EVP_get_digestbyname(name);
  must(digest != nullptr, "a digest");
  return digest;
}

template <typename Write>
std::string pem_of(Write write) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  must(bio != nullptr && write(bio.get()) == 1, "PEM text");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

}  // namespace

KeyPtr new_ec_key(const char* curve) {
  KeyPtr key(EVP_EC_gen(curve));
  must(key != nullptr, "an ECDSA key");
  return key;
}

KeyPtr new_rsa_key(unsigned bits) {
  KeyPtr key(EVP_RSA_gen(bits));
  must(key != nullptr, "an RSA key");
  return key;
}

CertificatePtr issue(const CertificateOrder& order, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
  CertificatePtr made(X509_new());
  X509* certificate = made.get();
  must(certificate != nullptr && X509_set_version(certificate, X509_VERSION_3) == 1, "a certificate");
  set_random_serial(certificate);
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto* text = reinterpret_cast<const unsigned char*>(order.common_name.c_str());
  must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1, 0) == 1, "a name");
  X509* above = issuer == nullptr ? certificate : issuer;
  must(X509_set_issuer_name(certificate, X509_get_subject_name(above)) == 1 &&
           X509_set1_notBefore(certificate, asn_time(order.not_before).get()) == 1 &&
           X509_set1_notAfter(certificate, asn_time(order.not_after).get()) == 1 &&
           X509_set_pubkey(certificate, key) == 1,
       "a certificate");
  add_extension(certificate, above, NID_basic_constraints, order.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  add_extension(certificate, above, NID_subject_key_identifier, "hash");
  if (issuer != nullptr) add_extension(certificate, above, NID_authority_key_identifier, "keyid:always");
  if (!order.key_usage.empty()) add_extension(certificate, above, NID_key_usage, "critical," + order.key_usage);
  if (!order.extended_key_usage.empty()) add_extension(certificate, above, NID_ext_key_usage, order.extended_key_usage);
  must(X509_sign(certificate, issuer_key, digest_named(order.digest)) > 0, "a certificate's signature");
  return made;
}

CrlPtr issue_crl(const CrlOrder& order, X509* issuer, EVP_PKEY* issuer_key) {
  CrlPtr made(X509_CRL_new());
  X509_CRL* crl = made.get();
  must(crl != nullptr && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
           X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) == 1 &&
           X509_CRL_set1_lastUpdate(crl, asn_time(order.last_update).get()) == 1 &&
           X509_CRL_set1_nextUpdate(crl, asn_time(order.next_update).get()) == 1,
       "a revocation list");
  for (const X509* certificate : order.revoked) {
    X509_REVOKED* entry = X509_REVOKED_new();
    must(
        entry != nullptr &&
            X509_REVOKED_set_serialNumber(entry, const_cast<ASN1_INTEGER*>(X509_get0_serialNumber(certificate))) == 1 &&
            X509_REVOKED_set_revocationDate(entry, asn_time(order.last_update).get()) == 1 &&
            X509_CRL_add0_revoked(crl, entry) == 1,
        "an entry of a revocation list");
  }
  const AsnIntegerPtr number(ASN1_INTEGER_new());
  must(number != nullptr && ASN1_INTEGER_set_uint64(number.get(), order.number) == 1 &&
           X509_CRL_add1_ext_i2d(crl, NID_crl_number, number.get(), 0, 0) == 1 && X509_CRL_sort(crl) == 1 &&
           X509_CRL_sign(crl, issuer_key, EVP_sha384()) > 0,
       "a revocation list");
  return made;
}

std::string to_pem(const X509* certificate) {
  return pem_of([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}
std::string to_pem(const X509_CRL* crl) {
  return pem_of([&](BIO* bio) { return PEM_write_bio_X509_CRL(bio, crl); });
}
std::string to_pem(EVP_PKEY* private_key) {
  return pem_of(
      [&](BIO* bio) { return PEM_write_bio_PKCS8PrivateKey(bio, private_key, nullptr, nullptr, 0, nullptr, nullptr); });
}

}  // namespace gf
