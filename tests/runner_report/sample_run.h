// A run of about 450 rules as the job would record it, made without one: for the tests of journal
// and report, and for looking at the page.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runner/journal.h"
#include "runner/record.h"

namespace gf::test {

struct SampleOptions {
  int rules = 450;
  std::string mode = "apply";
  bool finished = true;
  bool demo_model = true;
  bool hostile = false;  // every foreign text tries to be markup, a terminal command or a number
};

// Text that does harm wherever it is not escaped.
std::string hostile_text();

struct SampleEvent {
  std::string type;
  nlohmann::json body;
};
std::vector<SampleEvent> sample_events(const SampleOptions& options = {});

// Deterministic: one second passes per entry.
Journal write_sample(const std::filesystem::path& state_folder, const std::string& run_id = "run-1",
                     const SampleOptions& options = {});
Journal write_events(const std::filesystem::path& state_folder, const std::string& run_id,
                     const std::vector<SampleEvent>& events);
// The entries of such a journal.
std::vector<JournalEntry> entries_of(const std::vector<SampleEvent>& events);

nlohmann::json run_started_body(const std::string& run_id, const std::string& mode);

// What in `value` is not as `schema` says, with paths; `root` holds the $defs. schema.cpp.
std::vector<std::string> schema_problems(const nlohmann::json& root, const nlohmann::json& schema,
                                         const nlohmann::json& value, const std::string& path);

}  // namespace gf::test
