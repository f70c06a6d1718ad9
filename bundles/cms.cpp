// Signing and verifying detached signatures.
#include "bundles/cms.h"

#include <openssl/rsa.h>

#include <algorithm>

#include "bundles/certificates.h"
#include "bundles/openssl.h"
#include "bundles/signature_form.h"
#include "bundles/state.h"
#include "kernels/base/error.h"
#include "kernels/base/fd.h"

namespace gf {
namespace {

constexpr int kSaltBytes = 48;

const unsigned char* unsigned_bytes(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// PSS with SHA-384 throughout; nothing to set for ECDSA.
void set_padding(EVP_PKEY_CTX* context, EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) return;
  if (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha384()) != 1 ||
      EVP_PKEY_CTX_set_rsa_pss_saltlen(context, kSaltBytes) != 1)
    throw Error(Code::internal, "OpenSSL refused PSS parameters: ", openssl_reason());
}

std::string signature_value(EVP_PKEY* key, const std::string& attributes) {
  const DigestContextPtr context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  if (EVP_DigestSignInit(context.get(), &key_context, EVP_sha384(), nullptr, key) != 1)
    throw Error(Code::unsupported, "OpenSSL cannot sign with this key: ", openssl_reason());
  set_padding(key_context, key);
  size_t size = 0;
  if (EVP_DigestSign(context.get(), nullptr, &size, unsigned_bytes(attributes), attributes.size()) != 1)
    throw Error(Code::internal, "OpenSSL could not size a signature: ", openssl_reason());
  std::string value(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(value.data()), &size, unsigned_bytes(attributes),
                     attributes.size()) != 1)
    throw Error(Code::internal, "OpenSSL could not sign: ", openssl_reason());
  value.resize(size);
  return value;
}

void check_signature_value(const SignatureForm& form, const Digest& content) {
  EVP_PKEY* key = X509_get0_pubkey(form.leaf.get());
  const std::string attributes = signed_attributes(content);
  const DigestContextPtr context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  if (EVP_DigestVerifyInit(context.get(), &key_context, EVP_sha384(), nullptr, key) != 1)
    throw Error(Code::unsupported, "OpenSSL cannot verify with the key of ", subject_of(form.leaf.get()), ": ",
                openssl_reason());
  set_padding(key_context, key);
  const bool holds = EVP_DigestVerify(context.get(), unsigned_bytes(form.signature), form.signature.size(),
                                      unsigned_bytes(attributes), attributes.size()) == 1;
  ERR_clear_error();
  if (!holds)
    throw Error(Code::not_trusted, "the signature of ", subject_of(form.leaf.get()),
                " does not hold (arbitrary install attack)");
}

// The certificates of the chain files in the path's order, from the leaf's issuer upwards.
std::vector<CertificatePtr> read_chain(X509* leaf, const std::vector<std::filesystem::path>& files) {
  std::vector<CertificatePtr> chain;
  for (const auto& file : files)
    for (CertificatePtr& certificate : read_certificates(file)) {
      if ((X509_get_extension_flags(certificate.get()) & EXFLAG_SS) != 0)
        throw Error(Code::input, file.native(), ": ", subject_of(certificate.get()),
                    " is self-signed: leave anchors out of the chain, the verifying host has its own");
      chain.push_back(std::move(certificate));
    }
  X509* below = leaf;
  for (size_t i = 0; i < chain.size(); ++i) {
    const auto issuer =
        std::find_if(chain.begin() + static_cast<ptrdiff_t>(i), chain.end(),
                     [below](const CertificatePtr& c) { return X509_check_issued(c.get(), below) == X509_V_OK; });
    if (issuer == chain.end())
      throw Error(Code::input, "the chain holds ", subject_of(chain[i].get()), ", which is not on the path of ",
                  subject_of(leaf));
    std::iter_swap(chain.begin() + static_cast<ptrdiff_t>(i), issuer);
    below = chain[i].get();
  }
  return chain;
}

}  // namespace

std::vector<std::byte> cms_sign_detached(std::span<const std::byte> content, const std::filesystem::path& key_pem,
                                         const std::filesystem::path& cert_pem,
                                         const std::vector<std::filesystem::path>& chain_pem) {
  const KeyPtr key = read_private_key(key_pem);
  const std::vector<CertificatePtr> own = read_certificates(cert_pem);
  X509* leaf = own.front().get();
  if (own.size() != 1)
    throw Error(Code::input, cert_pem.native(), ": expected the signer's certificate alone, found ", own.size(),
                ": pass the others as the chain");
  if (X509_check_private_key(leaf, key.get()) != 1) {
    ERR_clear_error();
    throw Error(Code::input, key_pem.native(), " is not the key of ", cert_pem.native());
  }
  try {
    check_leaf(leaf);
  } catch (const Error& error) {
    throw Error(Code::input, cert_pem.native(), ": ", error.message());
  }
  const std::vector<CertificatePtr> chain = read_chain(leaf, chain_pem);
  std::vector<const X509*> others;
  for (const CertificatePtr& certificate : chain) others.push_back(certificate.get());
  const Digest digest = sha384(content);
  const std::string block =
      encode_signature(leaf, others, digest, signature_value(key.get(), signed_attributes(digest)));
  const auto bytes = as_bytes(block);
  return {bytes.begin(), bytes.end()};
}

SignerIdentity cms_verify_detached(std::span<const std::byte> cms_der, std::span<const std::byte> content,
                                   const Trust& trust, Time now) {
  const AcceptanceState state = read_state(trust.state);
  const Digest digest = sha384(content);
  const SignatureForm form = parse_signature(cms_der, digest);
  check_clock(state, now);
  check_signature_value(form, digest);
  check_leaf(form.leaf.get());
  std::vector<X509*> others;
  for (const CertificatePtr& other : form.others) others.push_back(other.get());
  SignerIdentity signer;
  signer.crl_numbers = check_path(form.leaf.get(), others, trust, checking_time(state, now), state.crl_numbers);
  signer.subject = subject_of(form.leaf.get());
  signer.key = key_digest(form.leaf.get());
  return signer;
}

SignerIdentity verify_report_signature(std::span<const std::byte> cms_der, std::span<const std::byte> content,
                                       const Trust& trust, Time now) {
  SignerIdentity signer = cms_verify_detached(cms_der, content, trust, now);
  if (trust.report_signers && !trust.report_signers->contains(signer.key))
    throw Error(Code::not_trusted, "the report was signed by ", signer.subject, ", key ", signer.key.hex(),
                ", which is not in signers.report of the trust file");
  return signer;
}

}  // namespace gf
