// The path from a signer to an anchor, and revocation by the lists of the local folder.
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <map>

#include "bundles/certificates.h"
#include "bundles/limits.h"
#include "kernels/base/error.h"
#include "kernels/base/fd.h"

namespace gf {
namespace {

constexpr int kCrlNumberBytes = 20;  // RFC 5280, 5.2.3

std::vector<std::filesystem::path> files_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.is_regular_file() && !entry.path().filename().native().starts_with(".")) files.push_back(entry.path());
  if (error) throw Error(Code::io, "cannot read the folder ", folder.native(), ": ", error.message());
  std::sort(files.begin(), files.end());
  return files;
}

X509StorePtr read_anchors(const std::filesystem::path& folder) {
  X509StorePtr store(X509_STORE_new());
  size_t count = 0;
  for (const auto& file : files_of(folder)) {
    for (const CertificatePtr& anchor : read_certificates(file)) {
      if ((X509_get_extension_flags(anchor.get()) & EXFLAG_SS) == 0 || X509_check_ca(anchor.get()) != 1)
        throw Error(Code::input, file.native(), ": ", subject_of(anchor.get()),
                    " is no anchor: expected a self-signed CA certificate");
      if (X509_STORE_add_cert(store.get(), anchor.get()) != 1)
        throw Error(Code::internal, "OpenSSL could not hold an anchor: ", openssl_reason());
      ++count;
    }
  }
  if (count == 0)
    throw Error(Code::not_trusted, "no anchors in ", folder.native(), ": install the CA's certificate there");
  return store;
}

CrlPtr parse_crl(const std::filesystem::path& file) {
  const std::vector<std::byte> bytes = read_file(file, kMaxCrlBytes);
  const BioPtr bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  const bool pem = as_text(bytes).find("-----BEGIN") != std::string_view::npos;
  CrlPtr crl(pem ? PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr) : d2i_X509_CRL_bio(bio.get(), nullptr));
  if (!crl)
    throw Error(Code::input, file.native(), ": expected a revocation list in PEM or DER form: ", openssl_reason());
  return crl;
}

struct LocalCrl {
  CrlPtr crl;
  std::filesystem::path file;
};

std::vector<LocalCrl> read_crls(const Trust& trust) {
  std::vector<LocalCrl> crls;
  if (!trust.crls) return crls;
  for (const auto& file : files_of(*trust.crls)) crls.push_back({parse_crl(file), file});
  return crls;
}

Error bad_crl(const LocalCrl& crl, std::string_view why) {
  return Error(Code::not_trusted, "revocation list ", crl.file.native(), ": ", why);
}

// As many hexadecimal digits for every list, so that texts compare as numbers do.
std::string number_of(const LocalCrl& local) {
  const std::unique_ptr<ASN1_INTEGER, FreeWith<ASN1_INTEGER_free>> number(
      static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(local.crl.get(), NID_crl_number, nullptr, nullptr)));
  if (!number) throw bad_crl(local, "it has no CRL number");
  const BignumPtr value(ASN1_INTEGER_to_BN(number.get(), nullptr));
  unsigned char bytes[kCrlNumberBytes];
  if (!value || BN_is_negative(value.get()) || BN_bn2binpad(value.get(), bytes, kCrlNumberBytes) < 0)
    throw bad_crl(local, "its CRL number is negative or longer than 20 bytes");
  std::string text;
  static constexpr char kDigits[] = "0123456789abcdef";
  for (const unsigned char byte : bytes) (text += kDigits[byte >> 4]) += kDigits[byte & 15];
  return text;
}

bool is_issued_by(const LocalCrl& local, X509* issuer) {
  if (X509_NAME_cmp(X509_CRL_get_issuer(local.crl.get()), X509_get_subject_name(issuer)) != 0) return false;
  // Two authorities may share a name after a renewal; the signature tells whose list it is.
  const bool verifies = X509_CRL_verify(local.crl.get(), X509_get0_pubkey(issuer)) == 1;
  ERR_clear_error();
  return verifies;
}

void check_crl(const LocalCrl& local, X509* issuer, Time when) {
  for (int i = 0; i < X509_CRL_get_ext_count(local.crl.get()); ++i)
    if (X509_EXTENSION_get_critical(X509_CRL_get_ext(local.crl.get(), i)) != 0)
      throw bad_crl(local, "it has a critical extension: only complete lists are read, no delta or partial ones");
  if ((X509_get_extension_flags(issuer) & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(issuer) & KU_CRL_SIGN) == 0)
    throw bad_crl(local, "its issuer may not sign revocation lists");
  std::time_t at = static_cast<std::time_t>(when.time_since_epoch().count());
  if (X509_cmp_time(X509_CRL_get0_lastUpdate(local.crl.get()), &at) > 0) throw bad_crl(local, "it is not valid yet");
  const ASN1_TIME* next = X509_CRL_get0_nextUpdate(local.crl.get());
  if (next == nullptr || X509_cmp_time(next, &at) <= 0)
    throw bad_crl(local, "it has expired: install a newer one (freeze attack)");
}

// Looks `certificate` up in its issuer's newest list.
std::optional<CrlNumber> check_revocation(X509* certificate, X509* issuer, const std::vector<LocalCrl>& crls,
                                          const Trust& trust, Time when, const std::vector<CrlNumber>& highest_seen) {
  const LocalCrl* newest = nullptr;
  std::string newest_number;
  for (const LocalCrl& local : crls) {
    if (!is_issued_by(local, issuer)) continue;
    std::string number = number_of(local);
    if (newest != nullptr && number <= newest_number) continue;
    newest = &local;
    newest_number = std::move(number);
  }
  const Digest issuer_key = key_digest(issuer);
  if (newest == nullptr) {
    const bool seen_before = std::any_of(highest_seen.begin(), highest_seen.end(),
                                         [&](const CrlNumber& seen) { return seen.issuer_key == issuer_key; });
    if (!trust.require_crls && !seen_before) return std::nullopt;
    throw Error(Code::not_trusted, "revocation list of ", subject_of(issuer), " is missing in ",
                trust.crls ? trust.crls->native() : "(no folder given)",
                seen_before ? ": one was there before" : ": the trust file requires one");
  }
  check_crl(*newest, issuer, when);
  for (const CrlNumber& seen : highest_seen)
    if (seen.issuer_key == issuer_key && newest_number < seen.number)
      throw bad_crl(*newest, "its CRL number is lower than one seen before: install the newest list (rollback attack)");
  X509_REVOKED* entry = nullptr;
  if (X509_CRL_get0_by_cert(newest->crl.get(), &entry, certificate) == 1)
    throw Error(Code::not_trusted, "certificate of ", subject_of(certificate), " was revoked by ",
                newest->file.native(), " (key compromise)");
  return CrlNumber{issuer_key, std::move(newest_number)};
}

std::string path_failure(X509_STORE_CTX* context) {
  const int reason = X509_STORE_CTX_get_error(context);
  const X509* at = X509_STORE_CTX_get_current_cert(context);
  std::string text = at == nullptr ? "" : "certificate of " + subject_of(at) + ": ";
  if (reason == X509_V_ERR_CERT_HAS_EXPIRED) return text + "it has expired (key compromise)";
  if (reason == X509_V_ERR_CERT_NOT_YET_VALID) return text + "it is not valid yet: check the clock";
  return text + X509_verify_cert_error_string(reason) + ": no path to an installed anchor (arbitrary install attack)";
}

void check_certificate_hash(const X509* certificate) {
  int digest = 0;
  if (X509_get_signature_info(const_cast<X509*>(certificate), &digest, nullptr, nullptr, nullptr) != 1 ||
      (digest != NID_sha256 && digest != NID_sha384 && digest != NID_sha512))
    throw Error(Code::not_trusted, "certificate of ", subject_of(certificate),
                ": it was signed with another digest than SHA-256, SHA-384 or SHA-512");
}

}  // namespace

std::vector<CrlNumber> check_path(X509* leaf, const std::vector<X509*>& others, const Trust& trust, Time when,
                                  const std::vector<CrlNumber>& highest_seen) {
  const X509StorePtr anchors = read_anchors(trust.anchors);
  const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> untrusted(
      sk_X509_new_null(), [](STACK_OF(X509) * stack) { sk_X509_free(stack); });
  for (X509* other : others) sk_X509_push(untrusted.get(), other);
  const X509StoreContextPtr context(X509_STORE_CTX_new());
  if (!context || X509_STORE_CTX_init(context.get(), anchors.get(), leaf, untrusted.get()) != 1)
    throw Error(Code::internal, "OpenSSL could not start a path: ", openssl_reason());
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_TRUSTED_FIRST);
  X509_VERIFY_PARAM_set_depth(parameters, static_cast<int>(kMaxCertificates));
  X509_VERIFY_PARAM_set_time(parameters, static_cast<std::time_t>(when.time_since_epoch().count()));
  if (X509_verify_cert(context.get()) != 1) throw Error(Code::not_trusted, path_failure(context.get()));

  const STACK_OF(X509)* path = X509_STORE_CTX_get0_chain(context.get());
  const int length = sk_X509_num(path);
  if (static_cast<size_t>(length) != others.size() + 2)
    throw Error(Code::not_trusted, "the signature carries ", others.size() + 1, " certificates, its path has ",
                length - 1, " below the anchor: expected exactly those");
  std::vector<CrlNumber> numbers;
  const std::vector<LocalCrl> crls = read_crls(trust);
  for (int i = 0; i + 1 < length; ++i) {
    X509* certificate = sk_X509_value(path, i);
    X509* issuer = sk_X509_value(path, i + 1);
    check_certificate_hash(certificate);
    check_key(issuer, KeyUse::authority);
    // 1: basicConstraints says so. OpenSSL also lets version 1 certificates pass as authorities.
    if (X509_check_ca(issuer) != 1)
      throw Error(Code::not_trusted, "certificate of ", subject_of(issuer), ": it is no certification authority");
    if (auto number = check_revocation(certificate, issuer, crls, trust, when, highest_seen))
      numbers.push_back(std::move(*number));
  }
  return numbers;
}

}  // namespace gf
