// Step 8: payloads that a trusted key signed and whose tar says something else than the manifest.
#include "bundles/header.h"
#include "bundles/layout.h"
#include "tests/bundles/forge.h"

namespace gf::test {
namespace {

constexpr size_t kTarBlock = 512;

// Writes the checksum of the header block at `at` anew, as a forger would.
void seal_block(std::string& payload, size_t at) {
  payload.replace(at + 148, 8, 8, ' ');
  unsigned sum = 0;
  for (size_t i = 0; i < kTarBlock; ++i) sum += static_cast<unsigned char>(payload[at + i]);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  payload.replace(at + 148, 7, std::string(text, 7));
}

// Changes the ustar header of the second file.
void refuse_header(const std::function<void(std::string& payload, size_t at)>& change, const std::string& words) {
  Scene scene;
  scene.recipe.payload = [&](const Manifest& manifest, std::string& payload) {
    const size_t at = manifest.files[1].offset - kTarBlock;
    change(payload, at);
    seal_block(payload, at);
  };
  check_refused(scene, Code::corrupt, words);
}

void refuse_type(char type, const std::string& words) {
  refuse_header([type](std::string& payload, size_t at) { payload[at + 156] = type; }, words);
}

// Changes the pax records of the second file, keeping their length.
void refuse_records(const std::string& what, const std::string& with, const std::string& words) {
  Scene scene;
  scene.recipe.payload = [&](const Manifest& manifest, std::string& payload) {
    const size_t at = payload.find(what, manifest.files[0].offset);
    REQUIRE(at < manifest.files[1].offset);
    payload.replace(at, with.size(), with);
  };
  check_refused(scene, Code::corrupt, words);
}

void refuse_payload(const std::function<void(const Manifest&, std::string&)>& change, const std::string& words) {
  Scene scene;
  scene.recipe.payload = change;
  check_refused(scene, Code::corrupt, words);
}

}  // namespace

TEST_CASE("a_symbolic_link_in_the_tar_is_refused", "[bundles]") { refuse_type('2', "symbolic link"); }
TEST_CASE("a_hard_link_in_the_tar_is_refused", "[bundles]") { refuse_type('1', "hard link"); }
TEST_CASE("devices_in_the_tar_are_refused", "[bundles]") {
  refuse_type('3', "a device");
  refuse_type('4', "a device");
}
TEST_CASE("a_fifo_in_the_tar_is_refused", "[bundles]") { refuse_type('6', "a FIFO"); }
TEST_CASE("a_folder_in_the_tar_is_refused", "[bundles]") { refuse_type('5', "a folder"); }
TEST_CASE("a_sparse_file_in_the_tar_is_refused", "[bundles]") { refuse_type('S', "sparse"); }
TEST_CASE("a_setuid_file_in_the_tar_is_refused", "[bundles]") {
  refuse_header([](std::string& payload, size_t at) { payload.replace(at + 100, 7, "0004755"); }, "another mode");
}
TEST_CASE("another_owner_in_the_tar_is_refused", "[bundles]") {
  refuse_header([](std::string& payload, size_t at) { payload.replace(at + 108, 7, "0001750"); }, "another owner");
}
TEST_CASE("a_link_name_in_the_tar_is_refused", "[bundles]") {
  refuse_header([](std::string& payload, size_t at) { payload.replace(at + 157, 11, "/etc/shadow"); },
                "another link name");
}
TEST_CASE("another_size_in_the_tar_is_refused", "[bundles]") {
  refuse_header([](std::string& payload, size_t at) { payload.replace(at + 124, 11, "00000000001"); }, "another size");
}
TEST_CASE("a_wrong_checksum_in_the_tar_is_refused", "[bundles]") {
  refuse_payload(
      [](const Manifest& manifest, std::string& payload) { ++payload[manifest.files[1].offset - kTarBlock + 150]; },
      "the framing is not");
}
TEST_CASE("a_pax_path_that_disagrees_is_refused", "[bundles]") {
  refuse_records("path=prompts/fix.txt", "path=prompts/fax.txt", "records");
}
TEST_CASE("a_pax_size_that_disagrees_is_refused", "[bundles]") { refuse_records("size=5000", "size=5001", "records"); }
TEST_CASE("an_extended_attribute_in_the_tar_is_refused", "[bundles]") {
  refuse_records("comment=..................................", "SCHILY.xattr.security.capability=........", "records");
}
TEST_CASE("a_global_pax_header_is_refused", "[bundles]") {
  refuse_payload(
      [](const Manifest&, std::string& payload) {
        payload[156] = 'g';
        seal_block(payload, 0);
      },
      "global pax header");
}
TEST_CASE("a_missing_member_is_refused", "[bundles]") {
  refuse_payload(
      [](const Manifest& manifest, std::string& payload) {
        const Framing framing = framing_before(manifest, 1);
        payload.replace(framing.offset, framing.bytes.size(), framing.bytes.size(), '\0');
      },
      "in front of prompts/fix.txt");
}
TEST_CASE("reordered_members_are_refused", "[bundles]") {
  Scene scene;
  scene.recipe.payload = [](const Manifest& manifest, std::string& payload) {
    Manifest swapped = manifest;
    std::swap(swapped.files[0].name, swapped.files[1].name);
    payload.replace(0, swapped.files[0].offset, framing_before(swapped, 0).bytes);
  };
  check_refused(scene, Code::corrupt, "in front of job/job.json");
}
TEST_CASE("a_duplicate_member_is_refused", "[bundles]") {
  refuse_payload(
      [](const Manifest& manifest, std::string& payload) {
        Manifest same = manifest;
        same.files[1].name = same.files[0].name;
        const Framing framing = framing_before(same, 1);
        payload.replace(framing.offset, framing.bytes.size(), framing.bytes);
      },
      "in front of prompts/fix.txt");
}
TEST_CASE("a_second_archive_after_the_end_is_refused", "[bundles]") {
  refuse_payload(
      [](const Manifest& manifest, std::string& payload) {
        payload.replace(payload.size() - kTarBlock, kTarBlock, framing_before(manifest, 0).bytes.substr(0, kTarBlock));
      },
      "second archive");
}
TEST_CASE("an_extra_member_at_the_end_is_refused", "[bundles]") {
  refuse_payload(
      [](const Manifest& manifest, std::string& payload) {
        const size_t end = framing_before(manifest, manifest.files.size()).offset;
        payload.replace(end, kTarBlock, payload.substr(manifest.files[1].offset - kTarBlock, kTarBlock));
      },
      "after the last member");
}

}  // namespace gf::test
