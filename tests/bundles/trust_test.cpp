// Steps 3, 4 and 6: certificates, revocation, thresholds and freshness; and the trust file itself.
#include "bundles/certificates.h"
#include "bundles/state.h"
#include "kernels/base/atomic_file.h"
#include "tests/bundles/forge.h"

namespace gf::test {
namespace {

Holder signer_with(const std::function<void(CertificateOrder&)>& change) {
  CertificateOrder order = signer_order();
  change(order);
  return new_holder(order, new_ec_key(), &pki().intermediate);
}

void refuse_signer(const Holder& signer, const std::string& words,
                   std::vector<const Holder*> path = {&pki().intermediate}) {
  Scene scene;
  scene.recipe.signatures = {by(signer, std::move(path))};
  check_refused(scene, Code::not_trusted, words);
}

CrlOrder crl_order() {
  return {.number = 7, .last_update = kNow - kDay, .next_update = kNow + 10 * kDay, .revoked = {}};
}

// Accepts the scene's bundle, as unpack does.
void accept_once(Scene& scene) { accept(scene.open(), scene.trust, scene.now); }

}  // namespace

TEST_CASE("an_expired_signer_is_refused", "[bundles]") {
  refuse_signer(signer_with([](CertificateOrder& order) { order.not_after = kNow - kDay; }), "it has expired");
}
TEST_CASE("a_signer_that_is_not_valid_yet_is_refused", "[bundles]") {
  refuse_signer(signer_with([](CertificateOrder& order) { order.not_before = kNow + kDay; }), "not valid yet");
}
TEST_CASE("an_expired_intermediate_is_refused", "[bundles]") {
  CertificateOrder order = authority_order();
  order.common_name = "old intermediate";
  order.not_after = kNow - kDay;
  const Holder old = new_holder(order, new_ec_key(), &pki().root);
  refuse_signer(new_holder(signer_order(), new_ec_key(), &old), "it has expired", {&old});
}
TEST_CASE("an_authority_as_signer_is_refused", "[bundles]") {
  refuse_signer(signer_with([](CertificateOrder& order) {
                  order.authority = true;
                  order.key_usage = "digitalSignature,keyCertSign";
                }),
                "certification authority");
}
TEST_CASE("a_signer_that_issues_certificates_is_refused", "[bundles]") {
  refuse_signer(new_holder(signer_order(), new_ec_key(), &pki().signer1), "no path to an installed anchor",
                {&pki().signer1, &pki().intermediate});
}
TEST_CASE("a_signer_for_another_use_is_refused", "[bundles]") {
  refuse_signer(signer_with([](CertificateOrder& order) { order.extended_key_usage = "serverAuth"; }), "codeSigning");
}
TEST_CASE("a_signer_without_extended_key_usage_is_refused", "[bundles]") {
  refuse_signer(signer_with([](CertificateOrder& order) { order.extended_key_usage = ""; }), "codeSigning");
}
TEST_CASE("a_signer_without_digital_signature_is_refused", "[bundles]") {
  refuse_signer(signer_with([](CertificateOrder& order) { order.key_usage = "keyAgreement"; }), "digitalSignature");
  refuse_signer(signer_with([](CertificateOrder& order) { order.key_usage = ""; }), "digitalSignature");
}
TEST_CASE("a_signer_under_an_unknown_root_is_refused", "[bundles]") {
  CertificateOrder order = authority_order();
  order.common_name = "root of others";
  const Holder other = new_holder(order, new_ec_key(), nullptr);
  const Holder signer = new_holder(signer_order(), new_ec_key(), &other);
  refuse_signer(signer, "no path to an installed anchor", {});
  refuse_signer(signer, "no path to an installed anchor", {&other});  // the anchor only in the bundle
}
TEST_CASE("a_root_with_the_anchors_name_is_refused", "[bundles]") {
  CertificateOrder order = authority_order();
  order.common_name = "test root";
  const Holder twin = new_holder(order, new_ec_key(), nullptr);
  refuse_signer(new_holder(signer_order(), new_ec_key(), &twin), "no path to an installed anchor", {});
}
TEST_CASE("an_authority_with_a_weak_key_is_refused", "[bundles]") {
  CertificateOrder order = authority_order();
  order.common_name = "weak intermediate";
  const Holder weak = new_holder(order, new_ec_key("P-256"), &pki().root);
  refuse_signer(new_holder(signer_order(), new_ec_key(), &weak), "expected P-384 or P-521", {&weak});
}
TEST_CASE("a_certificate_signed_with_sha1_is_refused", "[bundles]") {
  refuse_signer(signer_with([](CertificateOrder& order) { order.digest = "SHA1"; }), "certificate of CN=test signer");
}
TEST_CASE("an_empty_anchors_folder_trusts_nobody", "[bundles]") {
  Scene scene;
  std::filesystem::remove(scene.folder / "anchors/root.pem");
  check_refused(scene, Code::not_trusted, "no anchors");
}

TEST_CASE("with_valid_revocation_lists_a_bundle_is_accepted", "[bundles]") {
  Scene scene;
  scene.use_valid_crls();
  CHECK(scene.open().signers().front().crl_numbers.size() == 2);
}
TEST_CASE("a_revoked_signer_is_refused", "[bundles]") {
  for (const bool required : {true, false}) {
    Scene scene;
    scene.use_valid_crls();
    scene.trust.require_crls = required;
    CrlOrder order = crl_order();
    order.revoked = {pki().signer1.certificate.get()};
    scene.add_crl("intermediate.crl", order, pki().intermediate);
    check_refused(scene, Code::not_trusted, "was revoked");
  }
}
TEST_CASE("a_revoked_intermediate_is_refused", "[bundles]") {
  Scene scene;
  scene.use_valid_crls();
  CrlOrder order = crl_order();
  order.revoked = {pki().intermediate.certificate.get()};
  scene.add_crl("root.crl", order, pki().root);
  check_refused(scene, Code::not_trusted, "was revoked");
}
TEST_CASE("an_older_list_beside_a_newer_one_hides_nothing", "[bundles]") {
  Scene scene;
  scene.use_valid_crls();
  CrlOrder order = crl_order();
  order.number = 8;
  order.last_update = kNow - 5 * kDay;  // numbers decide, not dates
  order.revoked = {pki().signer1.certificate.get()};
  scene.add_crl("a-newer.crl", order, pki().intermediate);
  check_refused(scene, Code::not_trusted, "was revoked");
}
TEST_CASE("an_expired_revocation_list_is_refused", "[bundles]") {
  Scene scene;
  scene.use_valid_crls();
  CrlOrder order = crl_order();
  order.next_update = kNow - kDay / 2;
  scene.add_crl("intermediate.crl", order, pki().intermediate);
  check_refused(scene, Code::not_trusted, "it has expired");
}
TEST_CASE("a_revocation_list_of_tomorrow_is_refused", "[bundles]") {
  Scene scene;
  scene.use_valid_crls();
  CrlOrder order = crl_order();
  order.last_update = kNow + kDay;
  scene.add_crl("root.crl", order, pki().root);
  check_refused(scene, Code::not_trusted, "not valid yet");
}
TEST_CASE("a_missing_revocation_list_is_refused_where_lists_are_required", "[bundles]") {
  Scene scene;
  scene.use_valid_crls();
  std::filesystem::remove(scene.folder / "crls/root.crl");
  check_refused(scene, Code::not_trusted, "is missing");
}
TEST_CASE("a_revocation_list_by_another_key_does_not_count", "[bundles]") {
  Scene scene;
  scene.use_valid_crls();
  CertificateOrder order = authority_order();
  order.common_name = "test root";  // the anchor's name, another key
  scene.add_crl("root.crl", crl_order(), new_holder(order, new_ec_key(), nullptr));
  check_refused(scene, Code::not_trusted, "is missing");
}
TEST_CASE("a_crl_number_lower_than_before_is_refused", "[bundles]") {
  Scene scene;
  scene.use_valid_crls();
  accept_once(scene);
  CrlOrder order = crl_order();
  order.number = 6;
  scene.add_crl("intermediate.crl", order, pki().intermediate);
  check_refused(scene, Code::not_trusted, "lower than one seen before");
}
TEST_CASE("a_revocation_list_that_was_taken_away_is_missed", "[bundles]") {
  Scene scene;
  scene.use_valid_crls();
  scene.trust.require_crls = false;
  accept_once(scene);
  std::filesystem::remove(scene.folder / "crls/intermediate.crl");
  check_refused(scene, Code::not_trusted, "one was there before");
}

TEST_CASE("one_signer_of_two_is_not_enough", "[bundles]") {
  Scene scene;
  scene.trust.threshold.fill(2);
  check_refused(scene, Code::not_trusted, "signed by 1 distinct keys");
  scene.recipe.signatures = {by(pki().signer1), by(pki().signer2)};
  CHECK(scene.open().signers().size() == 2);
}
TEST_CASE("a_threshold_of_one_kind_is_enforced_for_that_kind", "[bundles]") {
  Scene scene;
  scene.trust.threshold[static_cast<size_t>(Kind::prompt)] = 2;
  check_refused(scene, Code::not_trusted, "prompt needs signatures of 2");
  Scene other;
  other.trust.threshold[static_cast<size_t>(Kind::weights)] = 2;
  CHECK(other.open().signers().size() == 1);
}
TEST_CASE("two_certificates_of_one_key_count_once", "[bundles]") {
  CertificateOrder order = signer_order();
  order.common_name = "the same person again";
  Holder again{nullptr, issue(order, pki().signer1.key.get(), pki().intermediate.certificate.get(),
                              pki().intermediate.key.get())};
  EVP_PKEY_up_ref(pki().signer1.key.get());
  again.key.reset(pki().signer1.key.get());
  Scene scene;
  scene.trust.threshold.fill(2);
  scene.recipe.signatures = {by(pki().signer1), by(again)};
  check_refused(scene, Code::not_trusted, "1 distinct keys");
}
TEST_CASE("a_key_that_does_not_count_for_a_kind_is_refused_for_it", "[bundles]") {
  Scene scene;
  scene.trust.signers[static_cast<size_t>(Kind::job)] = std::set{key_digest(pki().signer2.certificate.get())};
  check_refused(scene, Code::not_trusted, "job needs signatures");
}
TEST_CASE("one_bad_signature_among_good_ones_is_refused", "[bundles]") {
  Scene scene;
  const Holder expired = signer_with([](CertificateOrder& order) { order.not_after = kNow - kDay; });
  scene.recipe.signatures = {by(pki().signer1), by(expired)};
  check_refused(scene, Code::not_trusted, "signature 2 of 2");
}

TEST_CASE("an_older_version_is_a_rollback", "[bundles]") {
  Scene scene;
  accept_once(scene);
  scene.recipe.version = 4;
  check_refused(scene, Code::stale, "rollback");
}
TEST_CASE("verifying_a_newer_version_does_not_make_todays_a_rollback", "[bundles]") {
  Scene scene;
  accept_once(scene);
  scene.recipe.version = 6;
  scene.open().verify_payload();
  scene.recipe.version = 5;
  scene.open().verify_payload();
  CHECK(read_state(scene.trust.state).streams.at("test-stream").version == 5);
}
TEST_CASE("an_equal_version_with_other_content_is_refused", "[bundles]") {
  Scene scene;
  accept_once(scene);
  scene.recipe.files[0].bytes = "other";
  check_refused(scene, Code::stale, "mix-and-match");
}
TEST_CASE("a_replay_is_refused_where_the_trust_file_forbids_it", "[bundles]") {
  Scene scene;
  accept_once(scene);
  accept_once(scene);  // allowed
  scene.trust.allow_replay = false;
  check_refused(scene, Code::stale, "allow_replay is false");
}
TEST_CASE("accepting_checks_freshness_again_under_the_lock", "[bundles]") {
  Scene scene;
  const Bundle older = scene.open();
  scene.recipe.version = 6;
  accept_once(scene);  // meanwhile, elsewhere
  CHECK(error_of([&] { accept(older, scene.trust, scene.now); }).code() == Code::stale);
}
TEST_CASE("another_hosts_bundle_is_refused", "[bundles]") {
  Scene scene;
  scene.recipe.hosts = {"edge-8", "edge-9"};
  check_refused(scene, Code::wrong_host, "made for host edge-8");
  scene.recipe.hosts = {"edge-7", "edge-8"};
  CHECK(scene.open().manifest().hosts.size() == 2);
}
TEST_CASE("an_expired_bundle_is_refused", "[bundles]") {
  Scene scene;
  scene.now = kNow + 101 * kDay;
  check_refused(scene, Code::stale, "freeze");
}
TEST_CASE("a_bundle_of_the_future_is_refused", "[bundles]") {
  Scene scene;
  scene.recipe.manifest = [](Manifest& manifest) { manifest.created = kNow + 50 * kDay; };
  scene.recipe.plan = [](Manifest& manifest) { manifest.created = kNow + 50 * kDay; };
  check_refused(scene, Code::stale, "fast-forward");
}
TEST_CASE("a_clock_at_1970_is_refused", "[bundles]") {
  Scene scene;
  scene.now = Time{};
  check_refused(scene, Code::stale, "the clock reads 1970");
}
TEST_CASE("a_clock_that_was_set_back_is_refused", "[bundles]") {
  Scene scene;
  accept_once(scene);
  scene.now = kNow - 2 * kDay;
  check_refused(scene, Code::stale, "set back");
}
TEST_CASE("a_clock_a_little_back_is_judged_by_the_time_floor", "[bundles]") {
  Scene scene;
  scene.now = kNow + 100 * kDay - std::chrono::hours(1);
  accept_once(scene);
  scene.recipe.manifest = [](Manifest& manifest) { manifest.expires = kNow + 100 * kDay - std::chrono::hours(2); };
  scene.recipe.version = 6;
  scene.now = kNow + 100 * kDay - std::chrono::hours(3);
  check_refused(scene, Code::stale, "expired");
}
TEST_CASE("a_damaged_state_file_is_refused", "[bundles]") {
  Scene scene;
  accept_once(scene);
  const std::filesystem::path file = scene.trust.state / "state.json";
  write_atomically(file, replaced(read_text_file(file, 1 << 20), "\"version\":5", "\"version\":\"5\""));
  check_refused(scene, Code::corrupt, "is damaged");
}
TEST_CASE("every_acceptance_is_a_line_of_the_audit_log", "[bundles]") {
  Scene scene;
  accept_once(scene);
  accept_once(scene);
  const std::string log = read_text_file(scene.trust.state / "audit.log", 1 << 20);
  CHECK(std::count(log.begin(), log.end(), '\n') == 2);
  CHECK_THAT(log, Catch::Matchers::Contains(scene.open().digest().hex()));
}

TEST_CASE("the_trust_file_is_read_strictly", "[bundles]") {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "anchors");
  const auto read = [&](const std::string& text) {
    write_atomically(folder / "trust.toml", text);
    return Trust::read(folder / "trust.toml");
  };
  const std::string least = "anchors = \"anchors\"\nstate = \"state\"\n";
  const Trust trust = read(least + "host = \"Edge-7\"\n[threshold]\nweights = 2\n");
  CHECK(trust.anchors == folder / "anchors");
  CHECK(trust.required_for(Kind::weights) == 2);
  CHECK(trust.required_for(Kind::job) == 1);
  CHECK(trust.hosts == std::vector<std::string>{"edge-7"});
  const auto message = [&](const std::string& text) {
    const Error error = error_of([&] { read(text); });
    CHECK(error.code() == Code::input);
    return error.message();
  };
  CHECK_THAT(message(least + "anchor = 1\n"), Catch::Matchers::Contains("trust.toml:3:1: unknown key \"anchor\""));
  CHECK_THAT(message(least + "[threshold]\nfirmware = 1\n"), Catch::Matchers::Contains("unknown key \"firmware\""));
  CHECK_THAT(message(least + "[threshold]\njob = 0\n"), Catch::Matchers::Contains("from 1 to 16"));
  CHECK_THAT(message(least + "require_crls = true\n"), Catch::Matchers::Contains("set crls"));
  CHECK_THAT(message(least + "[signers]\njob = []\n"), Catch::Matchers::Contains("can never be reached"));
  CHECK_THAT(message("state = \"state\"\nanchors = \"none\"\n"), Catch::Matchers::Contains("expected a folder"));
  std::filesystem::permissions(folder / "anchors", std::filesystem::perms::all);
  CHECK_THAT(message(least), Catch::Matchers::Contains("every user can write"));
}

}  // namespace gf::test
