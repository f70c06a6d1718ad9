// The full intent of one commit, as it lies in commits/ID/intent.json before anything is done: enough
// to finish it or to take it back, whatever stopped it.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "kernels/base/fd.h"
#include "policy/change_set.h"
#include "runner/target_file.h"

namespace gf {

// create:   there was nothing
// replace:  a whole new entry takes the old one's place
// metadata: owner, mode and attributes are set on the entry that is there
// remove:   nothing will be there
enum class Action { create, replace, metadata, remove };

struct IntentEntry {
  Change change;
  Action action = Action::metadata;
  FileTimes before_times;
  uint64_t original_offset = 0;  // where the bytes of a regular file that goes away lie in "originals"
  int64_t inside = -1;           // index of the new folder that it is made in and arrives with
  int64_t linked_to = -1;        // index of an earlier entry that is the same file (a hard link)
  // Known only to the process that commits: the target's entry has not been reached, and an undo leaves
  // it alone, whatever somebody else made of it meanwhile.
  bool untouched = false;
};

struct Intent {
  std::string commit_id;
  std::string run_id;
  std::string rule_id;
  Origin origin = Origin::model;
  std::vector<IntentEntry> entries;  // sorted by path

  // The one temporary name of entry i, in the folder where it belongs; nothing else is ever made there.
  [[nodiscard]] std::string temporary_name(size_t i) const;
};

// Names and attributes are bytes, not text: what is not UTF-8 is written as {"hex": "..."}.
nlohmann::json to_json(const Intent& intent);
// Throws Code::input naming what is wrong with which key.
Intent intent_from_json(const nlohmann::json& value, const std::string& what);

// commits/ID: intent.json. Throws Code::input, Code::io.
Intent read_intent(const Fd& commit_folder, const std::string& commit_id);
bool has_file(const Fd& folder, const char* name);

// Sets inside of every entry, and checks that paths are in order and fit together. Throws Code::target.
void settle_entries(Intent& intent);

// The entry found on disk is as it was, or as it is meant to be. Content counts only where the
// commit changes it: a log may grow under a change of its mode.
bool is_as_before(const IntentEntry& entry, const FileState& found);
bool is_as_after(const IntentEntry& entry, const FileState& found);
// Every part of its metadata is from one or the other: a change in place that was cut short.
bool is_between(const IntentEntry& entry, const FileState& found);

}  // namespace gf
