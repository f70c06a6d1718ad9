// Appending to a journal, and telling whether one is whole.
#include "runner/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <nlohmann/json.hpp>

#include "kernels/base/atomic_file.h"
#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "kernels/base/strict_json.h"
#include "runner/record.h"

namespace gf {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxJournalBytes = uint64_t{1} << 30;
constexpr size_t kMaxLineBytes = size_t{64} << 20;
constexpr std::string_view kLatest = "latest.json";

std::filesystem::path journal_folder(const std::filesystem::path& state_folder) { return state_folder / "journal"; }

// The line without its newline, and its digest.
std::pair<std::string, Digest> render(uint64_t seq, std::string_view time, std::string_view type, const json& body,
                                      const Digest& previous) {
  json line = {{"seq", seq}, {"time", time}, {"type", type}, {"body", body}, {"previous", previous.hex()}};
  const Digest digest = sha384(canonical_json(line));
  line["digest"] = digest.hex();
  return {canonical_json(line), digest};
}

JournalEntry parse_line(std::string_view text, const JournalEntry* before) {
  json value = parse_json(text, "the line");
  if (canonical_json(value) != text) throw Error(Code::corrupt, "not in canonical form");
  JsonObject line(value, "line");
  JournalEntry entry;
  entry.seq = static_cast<uint64_t>(line.integer("seq", 0, INT64_MAX));
  entry.time = parse_time(line.string("time"), "time");
  entry.type = line.string("type");
  entry.previous = Digest::from_hex(line.string("previous"), "previous");
  entry.digest = Digest::from_hex(line.string("digest"), "digest");
  line.any("body");
  line.finish();
  const uint64_t expected = before == nullptr ? 0 : before->seq + 1;
  if (entry.seq != expected)
    throw Error(Code::corrupt, "expected entry ", expected, ", found entry ", entry.seq,
                ": lines were removed, repeated or moved");
  entry.body = std::move(value["body"]);
  value.erase("body");
  value.erase("digest");
  if (render(entry.seq, format_time(entry.time), entry.type, entry.body, entry.previous).second != entry.digest)
    throw Error(Code::corrupt, "the entry was changed: its digest does not match it");
  if (before != nullptr && entry.previous != before->digest)
    throw Error(Code::corrupt, "does not follow the entry before it: the chain of digests is broken here");
  check_body(entry.type, entry.body);
  return entry;
}

// A line that a power cut can leave: blocks that never reached the disk read as zeros, and a line cut
// short is no JSON. An edited line is neither.
bool may_be_torn(std::string_view line) {
  if (line.find('\0') != std::string_view::npos) return true;
  try {
    parse_json(line, "line");
    return false;
  } catch (const Error&) {
    return true;
  }
}

Error at_line(std::string_view name, size_t line, const Error& error) {
  Error located(Code::corrupt, name, ": line ", line, ": ", error.message());
  for (const std::string& context : error.context()) located.add_context(context);
  return located;
}

}  // namespace

RecoveredJournal recover_journal(std::string_view text, std::string_view name) {
  RecoveredJournal journal;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = text.find('\n', at);
    const bool last = end == std::string_view::npos || end + 1 == text.size();
    const std::string_view line = text.substr(at, end == std::string_view::npos ? end : end - at);
    if (end == std::string_view::npos || (last && may_be_torn(line))) break;
    try {
      journal.entries.push_back(parse_line(line, journal.entries.empty() ? nullptr : &journal.entries.back()));
    } catch (const Error& error) {
      throw at_line(name, journal.entries.size() + 1, error);
    }
    at = end + 1;
  }
  journal.complete_bytes = at;
  journal.torn_bytes = text.size() - at;
  return journal;
}

std::vector<JournalEntry> parse_journal(std::string_view text, std::string_view name) {
  RecoveredJournal journal = recover_journal(text, name);
  if (journal.torn_bytes != 0)
    throw Error(Code::corrupt, name, ": line ", journal.entries.size() + 1, ": cut short or damaged (",
                journal.torn_bytes, " bytes that are no entry)");
  if (journal.entries.empty()) throw Error(Code::corrupt, name, ": has no entry");
  return std::move(journal.entries);
}

std::vector<JournalEntry> read_journal(const std::filesystem::path& file) {
  return parse_journal(read_text_file(file, kMaxJournalBytes), file.string());
}

RecoveredJournal open_for_recovery(const std::filesystem::path& file) {
  return recover_journal(read_text_file(file, kMaxJournalBytes), file.string());
}

std::filesystem::path journal_path(const std::filesystem::path& state_folder, std::string_view run_id) {
  check_run_id(run_id);
  return journal_folder(state_folder) / (std::string(run_id) + ".jsonl");
}

namespace {

struct Latest {
  std::string run_id;
  Digest previous;
};

std::optional<Latest> read_latest(const std::filesystem::path& state_folder) {
  const std::filesystem::path path = journal_folder(state_folder) / kLatest;
  if (!std::filesystem::exists(path)) return std::nullopt;
  try {
    const json value = parse_json(read_text_file(path, 4096), path.string());
    JsonObject object(value, path.string());
    Latest latest{object.string("run_id"), Digest::from_hex(object.string("previous"), path.string())};
    object.finish();
    check_run_id(latest.run_id);
    return latest;
  } catch (const Error& error) {
    throw error.code() == Code::input ? Error(Code::corrupt, error.message()) : error;
  }
}

}  // namespace

std::optional<std::string> latest_run(const std::filesystem::path& state_folder) {
  const std::optional<Latest> latest = read_latest(state_folder);
  return latest ? std::optional(latest->run_id) : std::nullopt;
}

std::optional<Digest> head_of_latest_run(const std::filesystem::path& state_folder) {
  const std::optional<Latest> latest = read_latest(state_folder);
  if (!latest) return std::nullopt;
  const std::filesystem::path file = journal_path(state_folder, latest->run_id);
  if (!std::filesystem::exists(file))
    throw Error(
        Code::corrupt, file.string(),
        ": the journal of the last run is missing; restore it, or keep the state folder and start with a new one");
  const RecoveredJournal journal = open_for_recovery(file);
  return journal.entries.empty() ? latest->previous : journal.entries.back().digest;
}

struct Journal::State {
  mutable std::mutex mutex;
  std::string run_id;
  std::filesystem::path path;
  Fd file;
  uint64_t size = 0;
  uint64_t entries = 0;
  Digest head;
  std::function<Time()> clock;
  bool broken = false;
};

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}
Journal::Journal(Journal&&) noexcept = default;
Journal& Journal::operator=(Journal&&) noexcept = default;
Journal::~Journal() = default;

Journal Journal::create(const std::filesystem::path& state_folder, std::string run_id, const Digest& previous_run_head,
                        std::function<Time()> clock) {
  auto state = std::make_unique<State>();
  state->path = journal_path(state_folder, run_id);
  const std::filesystem::path folder = journal_folder(state_folder);
  make_folders(folder, 0700);
  state->file = open_file(state->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0600);
  sync_file(state->file, state->path.string());
  // Named before its first line: a crash between the two leaves a run without lines, whose
  // predecessor this file also tells.
  write_atomically(folder / kLatest,
                   canonical_json(json{{"run_id", run_id}, {"previous", previous_run_head.hex()}}) + "\n", 0600);
  state->run_id = std::move(run_id);
  state->head = previous_run_head;
  state->clock = std::move(clock);
  return Journal(std::move(state));
}

void Journal::append(std::string_view type, json body) {
  body = with_valid_text(std::move(body));
  try {
    check_body(type, body);
  } catch (const Error& error) {
    throw Error(Code::internal, "journal entry that cannot be reported: ", error.message());
  }
  const std::lock_guard lock(state_->mutex);
  const std::string name = state_->path.string();
  if (state_->broken)
    throw Error(Code::io, name, ": an earlier write failed and could not be taken back; nothing more is recorded");
  auto [line, digest] = render(state_->entries, format_time(state_->clock()), type, body, state_->head);
  line += '\n';
  if (line.size() > kMaxLineBytes || state_->size + line.size() > kMaxJournalBytes)
    throw Error(Code::no_space, name, ": an entry of ", line.size(), " bytes exceeds the limits of a journal (",
                kMaxLineBytes, " bytes a line, ", kMaxJournalBytes, " in all)");
  try {
    write_all(state_->file, as_bytes(line), name);
  } catch (const Error&) {
    state_->broken =
        ftruncate(state_->file.get(), static_cast<off_t>(state_->size)) != 0 || fsync(state_->file.get()) != 0;
    throw;
  }
  // After a failed sync nobody can say what the disk holds; the kernel reports it only once.
  if (fdatasync(state_->file.get()) != 0) {
    const int reason = errno;
    state_->broken = true;
    throw system_error(reason, "cannot make " + name + " durable");
  }
  state_->size += line.size();
  state_->head = digest;
  ++state_->entries;
}

Digest Journal::head() const {
  const std::lock_guard lock(state_->mutex);
  return state_->head;
}

uint64_t Journal::entries() const {
  const std::lock_guard lock(state_->mutex);
  return state_->entries;
}

const std::string& Journal::run_id() const { return state_->run_id; }

const std::filesystem::path& Journal::file() const { return state_->path; }

}  // namespace gf
