// The journal of a run: JSON lines that are only ever appended, each durable before append()
// returns and each holding the digest of the one before, so that no line can be changed, moved or
// dropped without notice. What a chain alone cannot show, lines cut off at its end, the signed
// report does: it holds the digest of the last line.
//
// A line: {"body":{...},"digest":"<hex>","previous":"<hex>","seq":n,"time":"...","type":"..."}
// in canonical JSON; digest = SHA-384 over the canonical JSON of the line without "digest".
// `previous` of the first line is the last digest of the run before (zeros for the first run).
//
// Files: STATE/journal/RUN-ID.jsonl, and STATE/journal/latest.json, which names the newest run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/digest.h"
#include "kernels/base/text.h"

namespace gf {

struct JournalEntry;  // runner/record.h

class Journal {
 public:
  // Makes the file (Code::io if this run id has one already) and names it the newest run.
  static Journal create(const std::filesystem::path& state_folder, std::string run_id, const Digest& previous_run_head,
                        std::function<Time()> clock = system_time);
  Journal(Journal&&) noexcept;
  Journal& operator=(Journal&&) noexcept;
  ~Journal();

  // Writes one line and syncs it. Thread safe. Strings of the body that are not UTF-8 are repaired.
  // Throws Code::internal if the body is not as runner/record.h says (nothing is written then), and
  // Code::io or Code::no_space if it cannot be made durable. A line written in part is taken back;
  // where even that fails, every later append is refused.
  void append(std::string_view type, nlohmann::json body);

  [[nodiscard]] Digest head() const;  // the last line's digest; before the first line, the previous run's
  [[nodiscard]] uint64_t entries() const;
  [[nodiscard]] const std::string& run_id() const;
  [[nodiscard]] const std::filesystem::path& file() const;

 private:
  struct State;
  explicit Journal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// All entries; Code::corrupt ("FILE: line 17: ...") if anything is not as written: chain, sequence,
// digest, canonical form, the body of a type, a line cut short.
std::vector<JournalEntry> read_journal(const std::filesystem::path& file);
std::vector<JournalEntry> parse_journal(std::string_view text, std::string_view name);

// After a power cut the last line may be there in part: it was never acknowledged, and nothing was
// done because of it. Everything before it must be whole.
struct RecoveredJournal {
  std::vector<JournalEntry> entries;
  uint64_t complete_bytes = 0;  // the whole lines
  uint64_t torn_bytes = 0;      // what follows them
};
// Changes nothing. Throws as read_journal does for everything that a power cut cannot explain.
RecoveredJournal open_for_recovery(const std::filesystem::path& file);
RecoveredJournal recover_journal(std::string_view text, std::string_view name);

std::filesystem::path journal_path(const std::filesystem::path& state_folder, std::string_view run_id);
// The newest run of this state folder, if there is one; its journal may be without a line.
std::optional<std::string> latest_run(const std::filesystem::path& state_folder);
// What the next run chains to: the newest run's last whole line, or, where it has none, what that
// run itself chained to. Throws Code::corrupt.
std::optional<Digest> head_of_latest_run(const std::filesystem::path& state_folder);

}  // namespace gf
