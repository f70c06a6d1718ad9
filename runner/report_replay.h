// Plays the entries of a journal back, in order, into what is known at its end. Every event is
// checked against those before it; report.cpp makes the report of the result.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/digest.h"
#include "kernels/base/text.h"
#include "runner/record.h"

namespace gf {

struct RuleFacts {
  nlohmann::json info;                // from the benchmark
  std::optional<std::string> before;  // XCCDF's word; empty where there was no such scan
  std::optional<std::string> after;
  std::string evidence_before;
  std::string evidence_after;
  nlohmann::json attempts = nlohmann::json::array();  // as the report shows them, in the order of their intents
  nlohmann::json outcome;                             // the last rule_outcome; null if there was none
};

struct CommitFacts {
  std::string rule;
  int64_t attempt = 0;
  std::string origin;
  std::string outcome;  // committed, conflict, rolled_back; interrupted: an intent and nothing after it
  std::string reason;
  nlohmann::json result;  // XCCDF's word, or null
  nlohmann::json changes;
  Time time;
};

struct RunFacts {
  nlohmann::json started;
  nlohmann::json benchmark;  // without its rules; null if the run did not come so far
  nlohmann::json models = nlohmann::json::array();
  nlohmann::json prompts = nlohmann::json::array();
  nlohmann::json waivers = nlohmann::json::array();
  nlohmann::json scans = nlohmann::json::array();  // {phase, seconds, rules, time}
  nlohmann::json roll_backs = nlohmann::json::array();
  nlohmann::json recovered = nlohmann::json::array();
  nlohmann::json notes = nlohmann::json::array();
  nlohmann::json finished;       // null: the journal ends without run_finished
  std::vector<RuleFacts> rules;  // in the document's order
  std::map<std::string, size_t, std::less<>> rule_index;
  std::vector<std::string> commit_order;
  std::map<std::string, CommitFacts> commits;
  bool scanned_before = false;
  bool scanned_after = false;
  bool changed_since_scan = false;  // the target was changed after the last scan "after"
  uint64_t entries = 0;
  Time last_time;
  Digest head;
};

// Throws Code::corrupt naming the entry.
RunFacts replay(const std::vector<JournalEntry>& entries);

}  // namespace gf
