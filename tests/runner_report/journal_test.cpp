// The chain, its durability, and what a power cut leaves.
#include "runner/journal.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <csignal>
#include <fstream>
#include <thread>

#include "kernels/base/atomic_file.h"
#include "kernels/base/fd.h"
#include "runner/record.h"
#include "tests/runner_report/sample_run.h"
#include "tests/support/catch.h"

namespace gf {
namespace {

using nlohmann::json;
using test::error_of;
using test::TemporaryFolder;

json note(const std::string& text) { return {{"text", text}}; }

std::string read(const std::filesystem::path& path) { return read_text_file(path, uint64_t{1} << 30); }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// run_started and four notes.
std::string small_journal(const TemporaryFolder& folder) {
  Journal journal = Journal::create(folder.path(), "small", Digest{});
  journal.append("run_started", test::run_started_body("small", "scan"));
  for (const char* text : {"one", "two", "three", "four"}) journal.append("note", note(text));
  return read(journal.file());
}

Error refused(const std::string& text) {
  return error_of([&] { parse_journal(text, "j"); });
}

TEST_CASE("what_was_appended_is_read_back_in_order") {
  const TemporaryFolder folder;
  Journal journal =
      Journal::create(folder.path(), "r1", Digest{}, [] { return parse_time("2026-11-21T00:00:00Z", "t"); });
  journal.append("run_started", test::run_started_body("r1", "scan"));
  journal.append("note", note("caf\xC3\xA9 \"quoted\"\n"));
  const std::vector<JournalEntry> entries = read_journal(journal.file());
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].previous == Digest{});
  CHECK(entries[1].previous == entries[0].digest);
  CHECK(entries[1].seq == 1);
  CHECK(entries[1].body.at("text") == "caf\xC3\xA9 \"quoted\"\n");
  CHECK(format_time(entries[1].time) == "2026-11-21T00:00:00Z");
  CHECK(journal.head() == entries[1].digest);
  CHECK(journal.entries() == 2);
}

TEST_CASE("the_digest_of_a_line_can_be_computed_with_stock_tools") {
  // digest = SHA-384 of the canonical line without its "digest" member.
  const TemporaryFolder folder;
  std::string line = lines_of(small_journal(folder))[1];
  const size_t at = line.find("\"digest\":\"");
  const std::string digest = line.substr(at + 10, 96);
  line.erase(at, 10 + 96 + 2);
  CHECK(sha384(line).hex() == digest);
}

TEST_CASE("a_new_run_chains_to_the_last_one") {
  const TemporaryFolder folder;
  CHECK_FALSE(head_of_latest_run(folder.path()));
  CHECK_FALSE(latest_run(folder.path()));
  Journal first = Journal::create(folder.path(), "r1", Digest{});
  first.append("run_started", test::run_started_body("r1", "scan"));
  CHECK(head_of_latest_run(folder.path()) == first.head());
  Journal second = Journal::create(folder.path(), "r2", first.head());
  CHECK(latest_run(folder.path()) == "r2");
  CHECK(head_of_latest_run(folder.path()) == first.head());  // no line yet
  second.append("run_started", test::run_started_body("r2", "scan"));
  CHECK(read_journal(second.file()).front().previous == first.head());
  CHECK(head_of_latest_run(folder.path()) == second.head());
}

TEST_CASE("a_journal_is_never_begun_twice") {
  const TemporaryFolder folder;
  Journal::create(folder.path(), "r1", Digest{});
  CHECK(error_of([&] { Journal::create(folder.path(), "r1", Digest{}); }).code() == Code::io);
}

TEST_CASE("run_ids_cannot_leave_the_folder") {
  const TemporaryFolder folder;
  for (const char* id : {"", ".", "..", "../x", "a/b", "-x", ".hidden", "latest", "a b", "a\nb"})
    CHECK(error_of([&] { Journal::create(folder.path(), id, Digest{}); }).code() == Code::input);
}

TEST_CASE("every_single_bit_of_a_journal_counts") {
  const TemporaryFolder folder;
  const std::string good = small_journal(folder);
  parse_journal(good, "j");
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    INFO("byte " << at);
    CHECK(refused(bad).code() == Code::corrupt);
  }
}

TEST_CASE("a_removed_line_is_noticed_and_named") {
  const TemporaryFolder folder;
  std::vector<std::string> lines = lines_of(small_journal(folder));
  lines.erase(lines.begin() + 2);
  CHECK(refused(joined(lines)).message().find("j: line 3: expected entry 2, found entry 3") != std::string::npos);
}

TEST_CASE("reordered_and_duplicated_lines_are_noticed") {
  const TemporaryFolder folder;
  const std::vector<std::string> lines = lines_of(small_journal(folder));
  std::vector<std::string> swapped = lines;
  std::swap(swapped[1], swapped[2]);
  CHECK(refused(joined(swapped)).message().find("line 2") != std::string::npos);
  std::vector<std::string> twice = lines;
  twice.insert(twice.begin() + 2, lines[1]);
  CHECK(refused(joined(twice)).message().find("line 3") != std::string::npos);
}

TEST_CASE("a_line_of_another_journal_breaks_the_chain") {
  const TemporaryFolder folder;
  std::vector<std::string> lines = lines_of(small_journal(folder));
  const TemporaryFolder other;
  Journal journal = Journal::create(other.path(), "small", Digest{});
  journal.append("run_started", test::run_started_body("small", "scan"));
  journal.append("note", note("another"));
  journal.append("note", note("another"));
  lines[2] = lines_of(read(journal.file()))[2];
  CHECK(refused(joined(lines)).message().find("the chain of digests is broken here") != std::string::npos);
}

TEST_CASE("lines_that_mean_the_same_but_are_written_otherwise_are_refused") {
  const TemporaryFolder folder;
  std::string text = small_journal(folder);
  text.insert(1, " ");
  CHECK(refused(text).message().find("canonical") != std::string::npos);
  CHECK(refused("\n" + small_journal(TemporaryFolder())).code() == Code::corrupt);
  CHECK(refused("").code() == Code::corrupt);
}

TEST_CASE("a_torn_last_line_is_told_from_a_whole_journal") {
  const TemporaryFolder folder;
  const std::string good = small_journal(folder);
  const std::vector<std::string> lines = lines_of(good);
  const size_t begin = good.size() - lines.back().size() - 1;
  for (size_t kept = begin + 1; kept < good.size(); ++kept) {
    const std::string torn = good.substr(0, kept);
    CHECK(refused(torn).code() == Code::corrupt);
    const RecoveredJournal journal = recover_journal(torn, "j");
    CHECK(journal.entries.size() == 4);
    CHECK(journal.complete_bytes == begin);
    CHECK(journal.torn_bytes == kept - begin);
  }
  CHECK(recover_journal(good, "j").torn_bytes == 0);
}

TEST_CASE("blocks_that_never_reached_the_disk_are_a_torn_line") {
  const TemporaryFolder folder;
  const std::string good = small_journal(folder);
  const RecoveredJournal zeros = recover_journal(good + std::string(4096, '\0'), "j");
  CHECK(zeros.entries.size() == 5);
  CHECK(zeros.torn_bytes == 4096);
  const RecoveredJournal with_end = recover_journal(good + std::string(4096, '\0') + "\"}\n", "j");
  CHECK(with_end.entries.size() == 5);
}

TEST_CASE("recovery_forgives_a_torn_line_but_no_edited_one") {
  const TemporaryFolder folder;
  const std::string good = small_journal(folder);
  std::string edited = good;
  edited.replace(edited.find("four"), 4, "five");
  CHECK(error_of([&] { recover_journal(edited, "j"); }).message().find("digest does not match") != std::string::npos);
  std::string early = good;
  early.replace(early.find("two"), 3, "TWO");
  CHECK(error_of([&] { recover_journal(early, "j"); }).message().find("j: line 3") != std::string::npos);
  std::vector<std::string> lines = lines_of(good);
  lines[1].resize(20);
  CHECK(error_of([&] { recover_journal(joined(lines), "j"); }).code() == Code::corrupt);
}

TEST_CASE("after_a_power_cut_the_next_run_chains_to_the_last_whole_line") {
  const TemporaryFolder folder;
  small_journal(folder);
  const std::filesystem::path file = journal_path(folder.path(), "small");
  const std::vector<JournalEntry> entries = read_journal(file);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 10);
  CHECK(head_of_latest_run(folder.path()) == entries[3].digest);
  CHECK(open_for_recovery(file).entries.size() == 4);
  std::filesystem::resize_file(file, 10);
  CHECK(head_of_latest_run(folder.path()) == Digest{});  // what the run itself chained to
}

TEST_CASE("a_missing_journal_of_the_last_run_is_not_taken_for_a_first_run") {
  const TemporaryFolder folder;
  small_journal(folder);
  std::filesystem::remove(journal_path(folder.path(), "small"));
  CHECK(error_of([&] { head_of_latest_run(folder.path()); }).code() == Code::corrupt);
  write_atomically(folder / "journal" / "latest.json", "{}\n");
  CHECK(error_of([&] { head_of_latest_run(folder.path()); }).code() == Code::corrupt);
}

TEST_CASE("an_entry_that_no_report_could_show_is_refused_before_it_is_written") {
  const TemporaryFolder folder;
  Journal journal = Journal::create(folder.path(), "r1", Digest{});
  journal.append("run_started", test::run_started_body("r1", "scan"));
  const std::string before = read(journal.file());
  CHECK(error_of([&] { journal.append("surprise", json::object()); }).code() == Code::internal);
  CHECK(error_of([&] { journal.append("note", json::object()); }).message().find("\"text\" is missing") !=
        std::string::npos);
  CHECK(error_of([&] { journal.append("roll_back", {{"commit_id", 7}, {"reason", ""}}); }).code() == Code::internal);
  CHECK(read(journal.file()) == before);
}

TEST_CASE("text_that_is_not_utf8_is_repaired_not_lost") {
  const TemporaryFolder folder;
  Journal journal = Journal::create(folder.path(), "r1", Digest{});
  journal.append("note", note("a\xff\x1b[2Jb"));
  CHECK(read_journal(journal.file())[0].body.at("text") == "a\xEF\xBF\xBD\x1b[2Jb");
  const json repaired = with_valid_text({{"k\xff", {"\xff", 1}}});
  CHECK(repaired == json({{"k\xEF\xBF\xBD", {"\xEF\xBF\xBD", 1}}}));
}

TEST_CASE("many_threads_append_one_chain") {
  const TemporaryFolder folder;
  Journal journal = Journal::create(folder.path(), "r1", Digest{});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&journal, t] {
      for (int i = 0; i < 25; ++i) journal.append("note", note(std::to_string(t) + "." + std::to_string(i)));
    });
  for (std::thread& thread : threads) thread.join();
  const std::vector<JournalEntry> entries = read_journal(journal.file());
  CHECK(entries.size() == 100);
  CHECK(entries.back().digest == journal.head());
}

// A full file system, as a limit on the size of files: the write stops in the middle of a line.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(uint64_t bytes) {
    old_action_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_action_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit old_{};
  void (*old_action_)(int) = nullptr;
};

TEST_CASE("a_line_written_in_part_is_taken_back_and_the_journal_goes_on") {
  const TemporaryFolder folder;
  Journal journal = Journal::create(folder.path(), "r1", Digest{});
  journal.append("note", note("first"));
  const std::string before = read(journal.file());
  {
    const FileSizeLimit limit(before.size() + 50);
    error_of([&] { journal.append("note", note("second")); });
  }
  CHECK(read(journal.file()) == before);
  journal.append("note", note("third"));
  const std::vector<JournalEntry> entries = read_journal(journal.file());
  REQUIRE(entries.size() == 2);
  CHECK(entries[1].body.at("text") == "third");
}

TEST_CASE("only_the_owner_can_read_a_journal") {
  const TemporaryFolder folder;
  const Journal journal = Journal::create(folder / "state", "r1", Digest{});
  CHECK((stat_of(open_file(journal.file(), 0), "journal").st_mode & 07777) == 0600);
}

}  // namespace
}  // namespace gf
