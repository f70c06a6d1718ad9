// The golden cases, all of them, and that a changed one is noticed.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/catch.h"
#include "tests/tools/golden_text.h"

using gf::test::data_path;
using gf::test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

std::string read_all(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return std::move(text).str();
}

// A copy of the folder in which the first `from` of one file is `to`.
void copy_changed(const fs::path& source, const fs::path& copy, const std::string& file, const std::string& from,
                  const std::string& to) {
  fs::copy(source, copy, fs::copy_options::recursive);
  std::string text = read_all(copy / file);
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
  fs::permissions(copy / file, fs::perms::owner_write, fs::perm_options::add);
  std::ofstream(copy / file, std::ios::binary) << text;
}

}  // namespace

TEST_CASE("all_tokenizer_cases_are_equal") { CHECK(gf::check_tokenizer_golden(data_path("tokenizer")) == 0); }

TEST_CASE("all_chat_cases_are_equal") { CHECK(gf::check_chat_golden(data_path("chat")) == 0); }

TEST_CASE("a_changed_tokenizer_case_is_reported") {
  TemporaryFolder folder;
  copy_changed(data_path("tokenizer"), folder / "ids", "cases.jsonl", "\"ids\":[44]", "\"ids\":[45]");
  CHECK(gf::check_tokenizer_golden(folder / "ids") == 1);
  copy_changed(data_path("tokenizer"), folder / "stream", "decode_cases.jsonl", "\"stream\":[\"file\"",
               "\"stream\":[\"fil\"");
  CHECK(gf::check_tokenizer_golden(folder / "stream") == 1);
}

TEST_CASE("a_changed_chat_case_is_reported") {
  TemporaryFolder folder;
  copy_changed(data_path("chat"), folder / "rendered", "cases.jsonl", "<turn|>\\n<|turn>model", "<turn|><|turn>model");
  CHECK(gf::check_chat_golden(folder / "rendered") == 1);
  copy_changed(data_path("chat"), folder / "error", "cases.jsonl", "\"rendered\": ", "\"error\": ");
  CHECK(gf::check_chat_golden(folder / "error") == 1);
}

TEST_CASE("an_empty_golden_folder_is_not_a_success") {
  TemporaryFolder folder;
  CHECK(gf::check_chat_golden(folder.path()) == 1);
  CHECK(gf::check_tokenizer_golden(folder.path()) == 1);
}
