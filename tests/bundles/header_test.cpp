// Step 1: headers and regions that must be refused before anything else is read.
#include <sys/stat.h>

#include "bundles/header.h"
#include "tests/bundles/forge.h"

namespace gf::test {
namespace {

constexpr size_t kManifestSize = 32, kTableOffset = 40, kTableSize = 48, kPayloadOffset = 56, kPayloadSize = 64,
                 kSignatureSize = 80;

void refuse_number(size_t at, uint64_t value, const std::string& words) {
  Scene scene;
  scene.recipe.file = [&](std::string& file) { put_number(file, at, value); };
  INFO("value " << value << " at " << at);
  check_refused(scene, Code::corrupt, words);
}

void refuse_file(const std::function<void(std::string&)>& spoil, const std::string& words) {
  Scene scene;
  scene.recipe.file = spoil;
  check_refused(scene, Code::corrupt, words);
}

}  // namespace

TEST_CASE("a_bundle_with_nothing_wrong_is_accepted", "[bundles]") {
  Scene scene;
  const Bundle bundle = scene.open();
  bundle.verify_payload({}, PlainDigests::check);
  CHECK(bundle.manifest().files.size() == 3);
  CHECK(bundle.signers().size() == 1);
}

TEST_CASE("bad_magic_is_refused", "[bundles]") {
  refuse_file([](std::string& file) { file[1] = 'X'; }, "magic");
}
TEST_CASE("a_future_format_version_is_refused", "[bundles]") {
  refuse_file([](std::string& file) { file[8] = 2; }, "format version 2");
}
TEST_CASE("a_payload_beyond_the_end_is_refused", "[bundles]") {
  refuse_number(kPayloadSize, 1U << 20, "the regions end");
}
TEST_CASE("overlapping_regions_are_refused", "[bundles]") {
  refuse_number(kTableOffset, kHeaderBytes, "gap or overlap");
}
TEST_CASE("a_gap_before_the_payload_is_refused", "[bundles]") {
  refuse_number(kPayloadOffset, 1U << 20, "gap or overlap");
}
TEST_CASE("sizes_around_2_and_4_GiB_are_over_their_limits", "[bundles]") {
  for (const uint64_t size :
       {(uint64_t{1} << 31) - 1, (uint64_t{1} << 31) + 1, (uint64_t{1} << 32) - 1, (uint64_t{1} << 32) + 1})
    for (const size_t at : {kManifestSize, kTableSize, kSignatureSize}) refuse_number(at, size, "endless data");
}
TEST_CASE("a_payload_around_4_GiB_that_is_not_there_is_refused", "[bundles]") {
  refuse_number(kPayloadSize, (uint64_t{1} << 32) - 1, "the regions end");
  refuse_number(kPayloadSize, (uint64_t{1} << 32) + 1, "the regions end");
}
TEST_CASE("sums_that_would_overflow_are_refused", "[bundles]") {
  refuse_number(kPayloadSize, UINT64_MAX, "endless data");
  refuse_number(kPayloadSize, uint64_t{1} << 63, "endless data");
  refuse_number(kPayloadOffset, UINT64_MAX - 4095, "gap or overlap");
}
TEST_CASE("regions_without_bytes_are_refused", "[bundles]") {
  for (const size_t at : {kManifestSize, kTableSize, kPayloadSize, kSignatureSize})
    refuse_number(at, 0, "has no bytes");
}
TEST_CASE("more_than_16_signatures_are_refused", "[bundles]") {
  refuse_file([](std::string& file) { file[12] = 17; }, "17 signatures");
}
TEST_CASE("a_reserved_byte_that_is_not_zero_is_refused", "[bundles]") {
  refuse_file([](std::string& file) { file[4095] = 1; }, "reserved");
}
TEST_CASE("a_padding_byte_that_is_not_zero_is_refused", "[bundles]") {
  refuse_file([](std::string& file) { file[2 * kHeaderBytes - 1] = 1; }, "padding byte behind the manifest");
}
TEST_CASE("a_truncated_file_is_refused", "[bundles]") {
  refuse_file([](std::string& file) { file.pop_back(); }, "cut short");
  refuse_file([](std::string& file) { file.resize(4000); }, "fewer than a header");
  refuse_file([](std::string& file) { file.clear(); }, "fewer than a header");
}
TEST_CASE("appended_bytes_are_refused", "[bundles]") {
  refuse_file([](std::string& file) { file += "x"; }, "appended");
}
TEST_CASE("a_fifo_in_place_of_a_bundle_does_not_block", "[bundles]") {
  Scene scene;
  REQUIRE(::mkfifo((scene.folder / "fifo").c_str(), 0600) == 0);
  const Error error = error_of([&] { Bundle::open(scene.folder / "fifo", scene.trust, scene.now); });
  CHECK(error.code() == Code::corrupt);
  CHECK_THAT(error.message(), Catch::Matchers::Contains("not a regular file"));
}
TEST_CASE("an_unsigned_bundle_is_refused", "[bundles]") {
  Scene scene;
  scene.recipe.signatures.clear();
  check_refused(scene, Code::not_trusted, "not signed");
}

}  // namespace gf::test
