// Step 5: manifests that a trusted key signed and that must be refused all the same.
#include "bundles/limits.h"
#include "tests/bundles/forge.h"

namespace gf::test {
namespace {

void refuse_json(const std::function<std::string(std::string)>& spoil, const std::string& words) {
  Scene scene;
  scene.recipe.json = [&](std::string& json) { json = spoil(json); };
  check_refused(scene, Code::corrupt, words);
}

void refuse_name(const std::string& name, const std::string& words) {
  INFO("name of " << name.size() << " bytes: " << printable(shortened(name, 80)));
  Scene scene;
  scene.recipe.files[1].name = name;
  check_refused(scene, Code::corrupt, words);
}

}  // namespace

TEST_CASE("a_duplicate_key_in_the_manifest_is_refused", "[bundles]") {
  refuse_json([](const std::string& json) { return replaced(json, "{\"chunk", "{\"version\":5,\"chunk"); },
              "duplicate key");
}
TEST_CASE("an_unknown_key_in_the_manifest_is_refused", "[bundles]") {
  refuse_json([](const std::string& json) { return replaced(json, "\"version\"", "\"unknown\":1,\"version\""); },
              "unknown key");
  refuse_json([](const std::string& json) { return replaced(json, "\"kind\"", "\"exec\":1,\"kind\""); }, "unknown key");
}
TEST_CASE("a_missing_key_in_the_manifest_is_refused", "[bundles]") {
  refuse_json([](const std::string& json) { return replaced(json, "\"stream\":\"test-stream\",", ""); }, "is missing");
}
TEST_CASE("a_float_in_the_manifest_is_refused", "[bundles]") {
  refuse_json([](const std::string& json) { return replaced(json, "\"version\":5", "\"version\":5.0"); }, "floating");
}
TEST_CASE("line_ends_and_spaces_in_the_manifest_are_refused", "[bundles]") {
  refuse_json([](const std::string& json) { return replaced(json, ",", ",\r\n"); }, "canonical");
  refuse_json([](const std::string& json) { return replaced(json, ",", ", "); }, "canonical");
}
TEST_CASE("a_byte_order_mark_is_refused", "[bundles]") {
  refuse_json([](const std::string& json) { return "\xEF\xBB\xBF" + json; }, "byte order mark");
}
TEST_CASE("a_nul_in_the_manifest_is_refused", "[bundles]") {
  refuse_json([](std::string json) { return json.insert(json.find("test-stream"), 1, '\0'); }, "not valid JSON");
  refuse_json([](const std::string& json) { return replaced(json, "test-stream", "test\\u0000stream"); }, "stream");
}
TEST_CASE("text_after_the_manifest_is_refused", "[bundles]") {
  refuse_json([](const std::string& json) { return json + "{}"; }, "not valid JSON");
  refuse_json([](const std::string& json) { return json + "\n"; }, "canonical");
}
TEST_CASE("ill_formed_utf8_in_the_manifest_is_refused", "[bundles]") {
  refuse_json([](const std::string& json) { return replaced(json, "test-stream", "test\xC0\xAFstream"); }, "UTF-8");
}
TEST_CASE("a_manifest_nested_a_million_deep_is_refused", "[bundles]") {
  refuse_json([](const std::string&) { return std::string(1000000, '['); }, "nested deeper");
}
TEST_CASE("another_format_version_in_the_manifest_is_refused", "[bundles]") {
  refuse_json([](const std::string& json) { return replaced(json, "\"format_version\":1", "\"format_version\":2"); },
              "format_version");
}
TEST_CASE("an_unknown_kind_is_refused", "[bundles]") {
  refuse_json([](const std::string& json) { return replaced(json, "\"kind\":\"job\"", "\"kind\":\"code\""); },
              "unknown kind");
}
TEST_CASE("a_digest_in_upper_case_or_too_short_is_refused", "[bundles]") {
  refuse_json([](std::string json) { return json.replace(json.find("table_sha384") + 15, 1, "A"); }, "lower-case");
  refuse_json([](std::string json) { return json.erase(json.find("table_sha384") + 15, 1); }, "96 lower-case");
}
TEST_CASE("names_that_leave_the_folder_are_refused", "[bundles]") {
  refuse_name(".", "\".\"");
  refuse_name("..", "\"..\"");
  refuse_name("a/../b", "\"..\"");
  refuse_name("/a", "absolute");
  refuse_name("a//b", "empty part");
  refuse_name("a/", "empty part");
  refuse_name("", "empty name");
}
TEST_CASE("names_that_deceive_are_refused", "[bundles]") {
  refuse_name("a\nb", "a character other than");
  refuse_name("a\x1b[2Jb", "a character other than");
  refuse_name("a\\b", "a character other than");
  refuse_name("caf\xC3\xA9", "a character other than");
  refuse_name("-rf", "begins with \"-\"");
  refuse_name(std::string(4096, 'n'), "longer than 1024");
  refuse_name("a/" + std::string(256, 'n'), "longer than 255");
}
TEST_CASE("names_equal_after_case_folding_are_refused", "[bundles]") {
  refuse_name("JOB/job.json", "differ at most in case");
  refuse_name("job/job.json", "differ at most in case");
}
TEST_CASE("a_file_that_is_also_a_folder_is_refused", "[bundles]") { refuse_name("job", "is a file and the folder of"); }
TEST_CASE("a_name_at_each_limit_is_accepted", "[bundles]") {
  Scene scene;
  std::string name;
  while (name.size() + 256 <= kMaxNameBytes) name += std::string(255, 'n') + "/";
  scene.recipe.files[1].name = name.substr(0, kMaxNameBytes - 1);
  scene.recipe.files[0].name = std::string(99, 'a') + ".";
  scene.recipe.files[2].name = std::string(101, 'b');
  scene.open().verify_payload();
  CHECK(scene.open().find(scene.recipe.files[1].name) != nullptr);
}
TEST_CASE("an_offset_that_does_not_follow_from_the_sizes_is_refused", "[bundles]") {
  Scene scene;
  scene.recipe.manifest = [](Manifest& manifest) { manifest.files[1].offset += 4096; };
  check_refused(scene, Code::corrupt, "offset: expected");
}
TEST_CASE("a_payload_size_that_does_not_follow_from_the_sizes_is_refused", "[bundles]") {
  Scene scene;
  scene.recipe.manifest = [](Manifest& manifest) { manifest.payload_size += 4096; };
  check_refused(scene, Code::corrupt, "payload_size: expected");
}
TEST_CASE("file_sizes_that_overflow_in_sum_are_refused", "[bundles]") {
  Scene scene;
  scene.recipe.manifest = [](Manifest& manifest) {
    for (FileEntry& file : manifest.files) file.size = kMaxPayloadBytes;
  };
  check_refused(scene, Code::corrupt, "endless data");
}
TEST_CASE("a_table_of_another_length_than_the_files_need_is_refused", "[bundles]") {
  Scene shorter;
  shorter.recipe.table = [](std::vector<Digest>& table) { table.pop_back(); };
  check_refused(shorter, Code::corrupt, "chunk table");
  Scene longer;
  longer.recipe.table = [](std::vector<Digest>& table) { table.emplace_back(); };
  check_refused(longer, Code::corrupt, "chunk table");
}
TEST_CASE("a_bundle_without_files_is_refused", "[bundles]") {
  refuse_json(
      [](const std::string& json) {
        const size_t from = json.find("\"files\":[") + 9;
        return std::string(json).erase(from, json.find("],\"format\"") - from);
      },
      "at least one file");
}
TEST_CASE("unsorted_hosts_are_refused", "[bundles]") {
  Scene scene;
  scene.recipe.hosts = {"edge-7", "edge-2"};
  check_refused(scene, Code::corrupt, "sorted");
}

}  // namespace gf::test
