// Step 2: blocks that stock verification may accept and that are not in the one form.
#include <openssl/cms.h>

#include "bundles/certificates.h"
#include "bundles/signature_form.h"
#include "tests/bundles/forge.h"

namespace gf::test {
namespace {

using StackPtr = std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)>;

StackPtr stack_of(const std::vector<const Holder*>& holders) {
  StackPtr stack(sk_X509_new_null(), [](STACK_OF(X509) * s) { sk_X509_free(s); });
  for (const Holder* holder : holders) sk_X509_push(stack.get(), holder->certificate.get());
  return stack;
}

Block encoded(CMS_ContentInfo* cms) {
  unsigned char* bytes = nullptr;
  const int size = i2d_CMS_ContentInfo(cms, &bytes);
  REQUIRE(size > 0);
  Block block(reinterpret_cast<std::byte*>(bytes), reinterpret_cast<std::byte*>(bytes) + size);
  OPENSSL_free(bytes);
  return block;
}

// What OpenSSL itself writes, for signers, flags and digest of the test's choosing.
struct StockOrder {
  std::vector<const Holder*> signers = {&pki().signer1};
  unsigned flags = CMS_NOSMIMECAP;
  const EVP_MD* digest = EVP_sha384();
  bool attached = false;
  std::function<void(CMS_ContentInfo*)> finish;
};

Signature stock(const StockOrder& order) {
  return [order](const std::string& manifest) {
    const BioPtr content(BIO_new_mem_buf(manifest.data(), static_cast<int>(manifest.size())));
    const unsigned base = CMS_BINARY | CMS_PARTIAL | (order.attached ? 0U : static_cast<unsigned>(CMS_DETACHED));
    const CmsPtr cms(CMS_sign(nullptr, nullptr, stack_of({&pki().intermediate}).get(), content.get(), base));
    REQUIRE(cms != nullptr);
    for (const Holder* signer : order.signers)
      REQUIRE(CMS_add1_signer(cms.get(), signer->certificate.get(), signer->key.get(), order.digest, order.flags) !=
              nullptr);
    if (order.finish) order.finish(cms.get());
    REQUIRE(CMS_final(cms.get(), content.get(), nullptr, base) == 1);
    return encoded(cms.get());
  };
}

void refuse(const Signature& signature, const std::string& words, Code code = Code::corrupt) {
  Scene scene;
  scene.recipe.signatures = {signature};
  check_refused(scene, code, words);
}

// The right block, changed as bytes.
void refuse_changed(const std::function<void(Block&)>& change, const std::string& words) {
  refuse(
      [&](const std::string& manifest) {
        Block block = by(pki().signer1)(manifest);
        change(block);
        return block;
      },
      words);
}

}  // namespace

TEST_CASE("a_truncated_signature_is_refused", "[bundles]") {
  refuse_changed([](Block& block) { block.pop_back(); }, "no complete CMS");
}
TEST_CASE("bytes_after_a_signature_are_refused", "[bundles]") {
  refuse_changed([](Block& block) { block.push_back(std::byte{0}); }, "after the CMS");
}
TEST_CASE("a_signature_in_ber_is_refused", "[bundles]") {
  // The outer SEQUENCE with an indefinite length: legal BER, the same meaning.
  refuse_changed(
      [](Block& block) {
        REQUIRE(block[1] == std::byte{0x82});
        block[1] = std::byte{0x80};
        block.erase(block.begin() + 2, block.begin() + 4);
        block.insert(block.end(), 2, std::byte{0});
      },
      "one DER encoding");
}
TEST_CASE("a_signature_in_pem_is_refused", "[bundles]") {
  refuse([](const std::string&) { return bytes_of("-----BEGIN CMS-----\nMIIB\n-----END CMS-----\n"); }, "PEM");
}
TEST_CASE("a_signature_that_is_not_asn1_is_refused", "[bundles]") {
  refuse([](const std::string&) { return bytes_of("hello"); }, "no complete CMS");
}
TEST_CASE("another_kind_of_cms_is_refused", "[bundles]") {
  refuse(
      [](const std::string& manifest) {
        const BioPtr content(BIO_new_mem_buf(manifest.data(), static_cast<int>(manifest.size())));
        return encoded(CmsPtr(CMS_data_create(content.get(), CMS_BINARY)).get());
      },
      "another kind of CMS");
}
TEST_CASE("a_signature_without_signed_attributes_is_refused", "[bundles]") {
  refuse(stock({.flags = CMS_NOSMIMECAP | CMS_NOATTR, .finish = {}}), "no signed attributes");
}
TEST_CASE("two_signer_infos_are_refused", "[bundles]") {
  refuse(stock({.signers = {&pki().signer1, &pki().signer2}, .finish = {}}), "2 SignerInfos");
}
TEST_CASE("a_duplicated_signer_info_is_refused", "[bundles]") {
  refuse(stock({.signers = {&pki().signer1, &pki().signer1}, .flags = CMS_NOSMIMECAP | CMS_NOCERTS, .finish = {}}),
         "2 SignerInfos");
}
TEST_CASE("sha1_and_sha256_signatures_are_refused", "[bundles]") {
  refuse(stock({.digest = EVP_sha1(), .finish = {}}), "not SHA-384");
  refuse(stock({.digest = EVP_sha256(), .finish = {}}), "not SHA-384");
}
TEST_CASE("attached_content_is_refused", "[bundles]") { refuse(stock({.attached = true, .finish = {}}), "attached"); }
TEST_CASE("a_revocation_list_inside_a_signature_is_refused", "[bundles]") {
  const CrlOrder order{.number = 1, .last_update = kNow - kDay, .next_update = kNow + kDay, .revoked = {}};
  const CrlPtr crl = issue_crl(order, pki().intermediate.certificate.get(), pki().intermediate.key.get());
  refuse(stock({.finish = [&](CMS_ContentInfo* cms) { REQUIRE(CMS_add1_crl(cms, crl.get()) == 1); }}), "CRL");
}
TEST_CASE("more_signed_attributes_than_two_are_refused", "[bundles]") {
  refuse(stock({.finish = {}}), "and no others");  // OpenSSL adds signingTime
}
TEST_CASE("unsigned_attributes_are_refused", "[bundles]") {
  refuse(
      [](const std::string& manifest) {
        const Block right = by(pki().signer1)(manifest);
        const auto* at = reinterpret_cast<const unsigned char*>(right.data());
        const CmsPtr cms(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(right.size())));
        REQUIRE(CMS_unsigned_add1_attr_by_txt(sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms.get()), 0), "1.2.3.4",
                                              V_ASN1_OCTET_STRING, "x", 1) == 1);
        return encoded(cms.get());
      },
      "unsigned attributes");
}
TEST_CASE("a_signer_named_by_key_identifier_is_refused", "[bundles]") {
  refuse(stock({.flags = CMS_NOSMIMECAP | CMS_USE_KEYID, .finish = {}}), "and no others");
}
TEST_CASE("an_unused_certificate_inside_is_refused", "[bundles]") {
  refuse(by(pki().signer1, {&pki().intermediate, &pki().signer2}), "expected exactly those", Code::not_trusted);
}
TEST_CASE("an_anchor_inside_is_refused", "[bundles]") {
  refuse(by(pki().signer1, {&pki().intermediate, &pki().root}), "expected exactly those", Code::not_trusted);
}
TEST_CASE("a_missing_intermediate_is_refused", "[bundles]") {
  refuse(by(pki().signer1, {}), "no path to an installed anchor", Code::not_trusted);
}
TEST_CASE("seven_certificates_are_refused", "[bundles]") {
  refuse(by(pki().signer1, std::vector<const Holder*>(6, &pki().intermediate)), "7 certificates");
}
TEST_CASE("ten_thousand_certificates_are_over_the_limit", "[bundles]") {
  refuse(by(pki().signer1, std::vector<const Holder*>(10000, &pki().intermediate)), "endless data");
}
TEST_CASE("a_signature_over_another_manifest_is_refused", "[bundles]") {
  refuse([](const std::string& manifest) { return by(pki().signer1)(manifest + " "); }, "over other bytes");
}
TEST_CASE("a_changed_manifest_is_refused", "[bundles]") {
  Scene scene;
  scene.recipe.file = [](std::string& file) { file = replaced(file, "test-stream", "best-stream"); };
  check_refused(scene, Code::corrupt, "step 2 (form), signature 1 of 1");
}
TEST_CASE("another_keys_signature_value_is_refused", "[bundles]") {
  refuse(
      [](const std::string& manifest) {
        const Digest digest = sha384(manifest);
        const SignatureForm wrong = parse_signature(by(pki().signer2)(manifest), digest);
        const std::string forged = encode_signature(pki().signer1.certificate.get(),
                                                    {pki().intermediate.certificate.get()}, digest, wrong.signature);
        return bytes_of(forged);
      },
      "does not hold", Code::not_trusted);
}
TEST_CASE("an_rsa_3072_signature_is_accepted", "[bundles]") {
  const Holder rsa = new_holder(signer_order(), new_rsa_key(3072), &pki().intermediate);
  Scene scene;
  scene.recipe.signatures = {by(rsa)};
  CHECK(scene.open().signers().front().key == key_digest(rsa.certificate.get()));
}
TEST_CASE("rsa_2048_is_refused", "[bundles]") {
  const Holder weak = new_holder(signer_order(), new_rsa_key(2048), &pki().intermediate);
  refuse(by(weak), "2048 bits", Code::not_trusted);
}
TEST_CASE("p256_is_refused", "[bundles]") {
  const Holder weak = new_holder(signer_order(), new_ec_key("P-256"), &pki().intermediate);
  refuse(by(weak), "expected P-384", Code::not_trusted);
}
TEST_CASE("signing_refuses_a_key_that_is_not_the_certificates", "[bundles]") {
  TemporaryFolder folder;
  write_development_pki(folder / "pki", kNow);
  const Error error = error_of([&] {
    cms_sign_detached(as_bytes("x"), folder / "pki/signer1.key", folder / "pki/signer2.pem",
                      {folder / "pki/chain.pem"});
  });
  CHECK(error.code() == Code::input);
  CHECK_THAT(error.message(), Catch::Matchers::Contains("is not the key of"));
}
TEST_CASE("signing_refuses_an_anchor_in_the_chain", "[bundles]") {
  TemporaryFolder folder;
  write_development_pki(folder / "pki", kNow);
  const Error error = error_of([&] {
    cms_sign_detached(as_bytes("x"), folder / "pki/signer1.key", folder / "pki/signer1.pem",
                      {folder / "pki/chain.pem", folder / "pki/anchors/root.pem"});
  });
  CHECK_THAT(error.message(), Catch::Matchers::Contains("leave anchors out"));
}
TEST_CASE("a_development_pki_signs_what_its_trust_file_accepts", "[bundles]") {
  TemporaryFolder folder;
  write_development_pki(folder / "pki", kNow);
  const Trust trust = Trust::read(folder / "pki/trust.toml");
  const auto sign = [&](const std::string& name) {
    return cms_sign_detached(as_bytes("text"), folder / ("pki/" + name + ".key"), folder / ("pki/" + name + ".pem"),
                             {folder / "pki/chain.pem"});
  };
  const SignerIdentity report = verify_report_signature(sign("report"), as_bytes("text"), trust, kNow);
  CHECK(report.subject == "CN=gf development report key");
  CHECK_FALSE(trust.counts_for(Kind::job, report.key));
  CHECK(trust.counts_for(Kind::job, cms_verify_detached(sign("signer1"), as_bytes("text"), trust, kNow).key));
  const Error error = error_of([&] { verify_report_signature(sign("signer2"), as_bytes("text"), trust, kNow); });
  CHECK(error.code() == Code::not_trusted);
  CHECK(error_of([&] { write_development_pki(folder / "pki", kNow); }).code() == Code::input);
}

}  // namespace gf::test
