// Undoing a commit, step by step from what is on disk.
#include "runner/recover.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <set>
#include <vector>

#include "kernels/base/atomic_file.h"
#include "kernels/base/text.h"
#include "runner/safe_path.h"
#include "runner/target_file.h"

namespace gf {
namespace {

bool is_folder_before(const IntentEntry& entry) { return entry.change.before.type == FileType::directory; }

FoundFile find(const Fd& target, const IntentEntry& entry) {
  const std::string& path = entry.change.path;
  const Place place = try_open_place(target, path);
  if (!place.folder) return {};  // its folder is gone, so it is
  FoundFile found = read_entry(place.folder, place.name, Content::skip, path);
  if (entry.change.content_changed) read_content(found, path);
  return found;
}

// What stands in a folder that the undo has to remove, and that the commit did not put there.
std::optional<std::string> stranger_in(const Fd& target, const Intent& intent, const IntentEntry& entry) {
  const Fd folder = try_open_in_root(target, entry.change.path, O_RDONLY | O_DIRECTORY, 0, false);
  if (!folder) return std::nullopt;
  for (const std::string& name : names_in(folder, entry.change.path)) {
    const std::string path = entry.change.path + "/" + name;
    const auto known =
        std::ranges::find(intent.entries, path, [](const IntentEntry& other) { return other.change.path; });
    if (known == intent.entries.end()) return printable(path) + ": is new, in a folder that the commit made";
  }
  return std::nullopt;
}

class Undo {
 public:
  Undo(const Fd& target, const Fd& commit_folder, const Intent& intent, const CommitHook& hook)
      : target_(target), intent_(intent), hook_(hook) {
    originals_ = Fd(::openat(commit_folder.get(), "originals", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!originals_) throw system_error(errno, "cannot open the originals of commit " + intent.commit_id);
  }

  void run() {
    remove_temporaries(target_, intent_);
    step("cleaned");
    for (size_t i = intent_.entries.size(); i-- > 0;) remove_new(intent_.entries[i]);
    for (size_t i = 0; i < intent_.entries.size(); ++i) restore(i);
    remove_temporaries(target_, intent_);
    sync_folders(target_, intent_);
    step("restored");
  }

 private:
  void step(std::string_view name) const {
    if (hook_) hook_(name);
  }

  // What was made where there was nothing. The deepest come first.
  void remove_new(const IntentEntry& entry) {
    if (entry.untouched || entry.change.before.type != FileType::absent) return;
    const Place place = try_open_place(target_, entry.change.path);
    if (!place.folder) return;
    const int flags = entry.change.after.type == FileType::directory ? AT_REMOVEDIR : 0;
    if (::unlinkat(place.folder.get(), place.name.c_str(), flags) != 0 && errno != ENOENT)
      throw system_error(errno, "cannot remove " + printable(entry.change.path));
    step("removed");
  }

  void restore(size_t i) {
    const IntentEntry& entry = intent_.entries[i];
    const Change& change = entry.change;
    if (entry.untouched || change.before.type == FileType::absent) return;
    const FoundFile found = find(target_, entry);
    if (is_as_before(entry, found.state)) return;
    const bool in_place =
        entry.action == Action::metadata || (is_folder_before(entry) && found.state.type == FileType::directory);
    if (in_place) {
      set_metadata(found.handle, change.before, change.path);
      if (change.before.type == FileType::regular) set_times(found.handle, entry.before_times, change.path);
      if (change.before.type == FileType::regular || is_folder_before(entry))
        sync_file(reopen_for_reading(found.handle, change.path), printable(change.path));
      return step("metadata");
    }
    const Place place = open_place(target_, change.path);
    const std::string temporary = intent_.temporary_name(i);
    make_entry(place.folder, temporary, change.before, entry.before_times, {&originals_, entry.original_offset},
               change.path);
    step("staged");
    const bool exchange =
        found.state.type != FileType::absent && (is_folder_before(entry) || found.state.type == FileType::directory);
    if (::renameat2(place.folder.get(), temporary.c_str(), place.folder.get(), place.name.c_str(),
                    exchange ? RENAME_EXCHANGE : 0U) != 0)
      throw system_error(errno, "cannot put " + printable(change.path) + " back");
    step("renamed");
    if (exchange) remove_tree(place.folder, temporary);
  }

  const Fd& target_;
  const Intent& intent_;
  const CommitHook& hook_;
  Fd originals_;
};

std::vector<std::string> commit_ids(const Fd& commits) { return names_in(commits, "the commits folder"); }

Recovered resolve(const Fd& target, const Fd& commits, const std::string& id, const CommitHook& hook) {
  const Fd folder = try_open_folder(commits, id);
  if (!folder) throw system_error(errno, "cannot open commits/" + printable(id));
  if (!has_file(folder, "intent.json")) {
    // Nothing of the target had been touched.
    remove_tree(commits, id);
    return {};
  }
  if (has_file(folder, "undone")) return {};
  const bool is_taken_back = has_file(folder, "undo");
  if (has_file(folder, "done") && !is_taken_back) return {};
  const Intent intent = read_intent(folder, id);
  if (!is_taken_back && is_all_done(target, intent)) {
    remove_temporaries(target, intent);
    sync_folders(target, intent);
    mark(folder, "done");
    return {Recovered::Kind::completed, id, intent.rule_id};
  }
  if (const auto obstacle = obstacle_to_undo(target, intent, Expect::after_a_crash))
    throw Error(Code::recovery, "commit ", id, " of rule ", printable(intent.rule_id), " was interrupted, and ",
                *obstacle, "; its originals are in the state folder under commits/", id,
                ": put that file into one of the two states and run recover again");
  undo_commit(target, folder, intent, hook);
  mark(folder, "undone");
  return {Recovered::Kind::rolled_back, id, intent.rule_id};
}

}  // namespace

std::optional<std::string> obstacle_to_undo(const Fd& target, const Intent& intent, Expect expect) {
  for (const IntentEntry& entry : intent.entries) {
    if (entry.untouched) continue;
    const Change& change = entry.change;
    const FoundFile found = find(target, entry);
    const FileState& now = found.state;
    // Inside a folder that is gone or was replaced, nothing is as before.
    const bool undone_already = now.type == FileType::absent && expect == Expect::after_a_crash;
    const bool fits = is_as_before(entry, now) || is_as_after(entry, now) || undone_already ||
                      (expect == Expect::after_a_crash && is_between(entry, now));
    if (!fits)
      return printable(change.path) + ": expected as before (" + describe(change.before) + ") or as committed (" +
             describe(change.after) + "), found " + describe(now);
    const bool goes_away = change.before.type != FileType::directory && change.after.type == FileType::directory;
    if (!goes_away) continue;
    if (const auto stranger = stranger_in(target, intent, entry)) return stranger;
  }
  return std::nullopt;
}

bool is_all_done(const Fd& target, const Intent& intent) {
  return std::ranges::all_of(intent.entries,
                             [&](const IntentEntry& entry) { return is_as_after(entry, find(target, entry).state); });
}

void undo_commit(const Fd& target, const Fd& commit_folder, const Intent& intent, const CommitHook& hook) {
  Undo(target, commit_folder, intent, hook).run();
}

void remove_temporaries(const Fd& target, const Intent& intent) {
  for (size_t i = 0; i < intent.entries.size(); ++i) {
    const IntentEntry& entry = intent.entries[i];
    const Place place = try_open_place(target, entry.change.path);
    if (place.folder) remove_tree(place.folder, intent.temporary_name(i));
  }
}

void sync_folders(const Fd& target, const Intent& intent) {
  std::set<std::string> folders;
  for (const IntentEntry& entry : intent.entries) {
    std::string folder = parent_of(entry.change.path);
    // The nearest one that is still there.
    while (folder != "/" && !try_open_in_root(target, folder, O_PATH | O_DIRECTORY, 0, false))
      folder = parent_of(folder);
    folders.insert(folder);
  }
  for (const std::string& folder : folders)
    sync_file(open_in_root_without_links(target, folder, O_RDONLY | O_DIRECTORY), printable(folder));
}

void mark(const Fd& commit_folder, const char* marker) { write_atomically(commit_folder, marker, {}, 0600); }

Recovered recover_commits(const Fd& target, const Fd& commits, const CommitHook& hook) {
  Recovered result;
  for (const std::string& id : commit_ids(commits)) {
    Recovered one = resolve(target, commits, id, hook);
    if (one.kind != Recovered::Kind::nothing_open) result = std::move(one);
  }
  return result;
}

void roll_back_commit(const Fd& target, const Fd& commits, const std::string& commit_id, const CommitHook& hook) {
  const Fd folder = try_open_folder(commits, commit_id);
  if (!folder || !has_file(folder, "done"))
    throw Error(Code::target, "there is no finished commit ", printable(commit_id), " in the state folder");
  if (has_file(folder, "undone")) throw Error(Code::target, "commit ", printable(commit_id), " was taken back already");
  const Intent intent = read_intent(folder, commit_id);
  if (const auto obstacle = obstacle_to_undo(target, intent, Expect::whole))
    throw Error(Code::target, "commit ", commit_id, " cannot be taken back: ", *obstacle,
                "; nothing was changed; take back later commits of that file first, or restore it by hand");
  mark(folder, "undo");
  if (hook) hook("undo");
  undo_commit(target, folder, intent, hook);
  mark(folder, "undone");
}

}  // namespace gf
