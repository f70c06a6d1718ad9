// A commit, in the order in which it must be durable: originals, intent, staged entries, renames,
// removals, the done marker. Until the first rename nothing of the target's has changed.
#include "runner/commit_apply.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "kernels/base/atomic_file.h"
#include "kernels/base/error.h"
#include "kernels/base/strict_json.h"
#include "kernels/base/text.h"
#include "runner/commit_label.h"
#include "runner/recover.h"
#include "runner/safe_path.h"
#include "runner/target_file.h"

namespace gf {
namespace {

// The target is not as the trial saw it.
struct Conflict {
  std::string text;
};

// What an entry of the target was when its original was saved: it must still be that when it goes.
struct Identity {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t changed_ns = 0;
  bool operator==(const Identity&) const = default;
};

Identity identity_of(const FoundFile& found) {
  // A folder's times change with each entry that is put in place; what it is does not.
  if (found.state.type == FileType::directory) return {found.device, found.inode, 0, 0};
  return {found.device, found.inode, found.state.size, found.changed_ns};
}

class Commit {
 public:
  Commit(const CommitFolders& folders, Intent& intent, const CommitHook& hook)
      : target_(folders.target), trial_(folders.trial), commits_(folders.commits), intent_(intent), hook_(hook) {}

  std::optional<std::string> run() {
    make_folder();
    try {
      check_and_save();
      write_intent();
    } catch (const Conflict& conflict) {
      forget();
      return conflict.text;
    } catch (...) {
      forget();
      throw;
    }
    for (IntentEntry& entry : intent_.entries) entry.untouched = true;
    try {
      for (size_t i = 0; i < intent_.entries.size(); ++i) stage(i);
      apply();
      sync_folders(target_, intent_);
      step("applied");
      mark(folder_, "done");
      step("done");
      return std::nullopt;
    } catch (const Conflict& conflict) {
      take_back();
      return conflict.text;
    } catch (const Error&) {
      take_back();
      throw;
    }
  }

 private:
  void step(std::string_view name) const {
    if (hook_) hook_(name);
  }

  void make_folder() {
    if (::mkdirat(commits_.get(), intent_.commit_id.c_str(), 0700) != 0)
      throw system_error(errno, "cannot create the folder of commit " + intent_.commit_id);
    folder_ = try_open_folder(commits_, intent_.commit_id);
    if (!folder_) throw system_error(errno, "cannot open the folder of commit " + intent_.commit_id);
  }

  void forget() {
    folder_.reset();
    remove_tree(commits_, intent_.commit_id);
  }

  // ---- before anything changes ----

  void check_and_save() {
    settle_entries(intent_);
    identities_.resize(intent_.entries.size());
    originals_ = Fd(::openat(folder_.get(), "originals", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!originals_) throw system_error(errno, "cannot create a file for the originals");
    for (size_t i = 0; i < intent_.entries.size(); ++i) check_one(i);
    sync_file(originals_, "the originals");
  }

  void check_one(size_t i) {
    IntentEntry& entry = intent_.entries[i];
    const Change& change = entry.change;
    entry.action = action_of(change);
    label_new(entry);
    if (entry.inside >= 0) return;  // its folder is new: nothing can be there
    const Place place = place_or_conflict(change.path);
    const bool is_saved = entry.action == Action::replace || entry.action == Action::remove;
    FoundFile found = read_entry(place.folder, place.name, Content::skip, change.path);
    identities_[i] = identity_of(found);
    entry.before_times = found.times;
    if (entry.action == Action::metadata && change.before.type == FileType::regular && found.links > 1)
      entry.action = Action::replace;  // the trial changed this name alone, not the file's other names
    if ((is_saved || entry.action == Action::replace) && found.state.type == FileType::regular) save(entry, found);
    if (!is_as_before(entry, found.state)) conflict(change, found.state);
    if (change.before.type == FileType::directory && change.after.type != FileType::directory)
      check_children(place, change);
  }

  static Action action_of(const Change& change) {
    if (change.before.type == FileType::absent) return Action::create;
    if (change.after.type == FileType::absent) return Action::remove;
    if (change.before.type != change.after.type) return Action::replace;
    return change.content_changed && change.before.type != FileType::directory ? Action::replace : Action::metadata;
  }

  static void label_new(IntentEntry& entry) {
    FileState& after = entry.change.after;
    if (entry.action != Action::create || after.xattrs.contains("security.selinux")) return;
    const std::string label = label_for_new_file(entry.change.path, after.type, after.mode);
    if (!label.empty()) after.xattrs.emplace("security.selinux", label);
  }

  Place place_or_conflict(const std::string& path) const {
    Place place = try_open_place(target_, path);
    if (!place.folder) throw Conflict{printable(path) + ": its folder is gone, or a link is in its place"};
    return place;
  }

  [[noreturn]] static void conflict(const Change& change, const FileState& found) {
    throw Conflict{printable(change.path) + ": changed since the trial: expected " + describe(change.before) +
                   ", found " + describe(found)};
  }

  void save(IntentEntry& entry, FoundFile& found) {
    const Fd file = reopen_for_reading(found.handle, entry.change.path);
    const auto offset = static_cast<uint64_t>(::lseek(originals_.get(), 0, SEEK_END));
    entry.original_offset = offset;
    try {
      found.state.content = copy_bytes(file, 0, found.state.size, originals_, entry.change.path);
    } catch (const Error& error) {
      if (error.code() == Code::corrupt) throw Conflict{printable(entry.change.path) + ": became shorter"};
      throw;
    }
    // A replacement for its metadata's sake keeps what the file holds now.
    if (!entry.change.content_changed) {
      entry.change.before.size = entry.change.after.size = found.state.size;
      entry.change.before.content = entry.change.after.content = found.state.content;
    }
  }

  // A folder that goes away may hold nothing but what the commit removes.
  void check_children(const Place& place, const Change& change) const {
    const Fd inner = try_open_folder(place.folder, place.name);
    if (!inner) throw system_error(errno, "cannot open " + printable(change.path));
    for (const std::string& name : names_in(inner, change.path)) {
      const std::string path = change.path + "/" + name;
      const auto found = std::ranges::lower_bound(
          intent_.entries, path, {}, [](const IntentEntry& entry) { return std::string_view(entry.change.path); });
      if (found == intent_.entries.end() || found->change.path != path)
        throw Conflict{printable(path) + ": is new since the trial, in a folder that the trial removed"};
    }
  }

  void write_intent() {
    write_atomically(folder_, "intent.json", as_bytes(canonical_json(to_json(intent_))), 0600);
    sync_file(commits_, "the commits folder");
    step("intent");
  }

  // ---- new entries, under temporary names ----

  bool is_staged(const IntentEntry& entry) const {
    return entry.action == Action::create || entry.action == Action::replace;
  }

  // Where entry i is made: its own folder under its temporary name, or inside a staged folder.
  Place staging_place(size_t i) const {
    const IntentEntry& entry = intent_.entries[i];
    if (entry.inside < 0) {
      Place place = place_or_conflict(entry.change.path);
      place.name = intent_.temporary_name(i);
      return place;
    }
    const auto top = static_cast<size_t>(entry.inside);
    const std::string& top_path = intent_.entries[top].change.path;
    const std::string parent = parent_of(top_path);
    return open_place(target_, (parent == "/" ? "" : parent) + "/" + intent_.temporary_name(top) +
                                   entry.change.path.substr(top_path.size()));
  }

  void stage(size_t i) {
    const IntentEntry& entry = intent_.entries[i];
    if (!is_staged(entry)) return;
    const Change& change = entry.change;
    const Place place = staging_place(i);
    if (entry.linked_to >= 0) {
      const Place first = staging_place(static_cast<size_t>(entry.linked_to));
      if (::linkat(first.folder.get(), first.name.c_str(), place.folder.get(), place.name.c_str(), 0) != 0)
        throw system_error(errno, "cannot link " + printable(change.path));
      return step("staged");
    }
    FileTimes times = entry.before_times;
    Fd content;
    uint64_t offset = 0;
    if (change.content_changed) {
      const Place in_trial = open_place(trial_, change.path);
      const FoundFile found = read_entry(in_trial.folder, in_trial.name, Content::skip, change.path);
      if (found.state.type != change.after.type)
        throw Error(Code::target, printable(change.path), ": the trial no longer holds it");
      times = found.times;
      if (change.after.type == FileType::regular) content = reopen_for_reading(found.handle, change.path);
    } else {
      content = originals_.duplicate();
      offset = entry.original_offset;
    }
    make_entry(place.folder, place.name, change.after, times, {&content, offset}, change.path);
    if (entry.inside >= 0 || change.after.type == FileType::directory) sync_file(place.folder, printable(change.path));
    step("staged");
  }

  // ---- the target changes from here on ----

  void apply() {
    const size_t count = intent_.entries.size();
    for (size_t i = 0; i < count; ++i)
      if (is_staged(intent_.entries[i]) && intent_.entries[i].inside < 0 && !waits_for_children(i)) put_in_place(i);
    for (size_t i = 0; i < count; ++i)
      if (intent_.entries[i].action == Action::metadata) change_metadata(i);
    // The deepest first, so that a folder is empty when its turn comes.
    for (size_t i = count; i-- > 0;) {
      if (intent_.entries[i].action == Action::remove) remove(i);
      if (waits_for_children(i)) put_in_place(i);
    }
  }

  bool waits_for_children(size_t i) const {
    const IntentEntry& entry = intent_.entries[i];
    return entry.action == Action::replace && entry.change.before.type == FileType::directory;
  }

  FoundFile still_the_same(const Place& place, size_t i) const {
    const Change& change = intent_.entries[i].change;
    FoundFile found = read_entry(place.folder, place.name, Content::skip, change.path);
    const bool same = intent_.entries[i].action == Action::metadata ? is_as_before(intent_.entries[i], found.state)
                                                                    : identity_of(found) == identities_[i];
    if (!same) throw Conflict{printable(change.path) + ": changed while the commit was made"};
    return found;
  }

  void put_in_place(size_t i) {
    const IntentEntry& entry = intent_.entries[i];
    const Place place = place_or_conflict(entry.change.path);
    const std::string temporary = intent_.temporary_name(i);
    const bool folders_change_places =
        entry.action == Action::replace && entry.change.before.type != entry.change.after.type &&
        (entry.change.before.type == FileType::directory || entry.change.after.type == FileType::directory);
    unsigned flags = 0;
    if (entry.action == Action::create) flags = RENAME_NOREPLACE;
    if (folders_change_places) flags = RENAME_EXCHANGE;
    if (entry.action == Action::replace) still_the_same(place, i);
    if (::renameat2(place.folder.get(), temporary.c_str(), place.folder.get(), place.name.c_str(), flags) != 0) {
      if (errno == EEXIST || errno == ENOENT)
        throw Conflict{printable(entry.change.path) + ": changed while the commit was made"};
      throw system_error(errno, "cannot put " + printable(entry.change.path) + " in place");
    }
    for (IntentEntry& other : intent_.entries)
      if (&other == &entry || other.inside == static_cast<int64_t>(i)) other.untouched = false;
    step("renamed");
    if (folders_change_places) remove_tree(place.folder, temporary);
  }

  void change_metadata(size_t i) {
    const Change& change = intent_.entries[i].change;
    const Place place = place_or_conflict(change.path);
    const FoundFile found = still_the_same(place, i);
    intent_.entries[i].untouched = false;  // also where it fails half way
    set_metadata(found.handle, change.after, change.path);
    step("metadata");
    if (change.after.type == FileType::regular || change.after.type == FileType::directory)
      sync_file(reopen_for_reading(found.handle, change.path), printable(change.path));
  }

  void remove(size_t i) {
    const Change& change = intent_.entries[i].change;
    const Place place = place_or_conflict(change.path);
    still_the_same(place, i);
    const int flags = change.before.type == FileType::directory ? AT_REMOVEDIR : 0;
    if (::unlinkat(place.folder.get(), place.name.c_str(), flags) != 0) {
      if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT)
        throw Conflict{printable(change.path) + ": changed while the commit was made"};
      throw system_error(errno, "cannot remove " + printable(change.path));
    }
    intent_.entries[i].untouched = false;
    step("removed");
  }

  void take_back() {
    if (const auto obstacle = obstacle_to_undo(target_, intent_, Expect::after_a_crash))
      throw Error(Code::recovery, "commit ", intent_.commit_id,
                  " could be neither finished nor taken back: ", *obstacle);
    undo_commit(target_, folder_, intent_, hook_);
    mark(folder_, "undone");
  }

  const Fd& target_;
  const Fd& trial_;
  const Fd& commits_;
  Intent& intent_;
  const CommitHook& hook_;
  Fd folder_;
  Fd originals_;
  std::vector<Identity> identities_;
};

}  // namespace

std::optional<std::string> apply_commit(const CommitFolders& folders, Intent& intent, const CommitHook& hook) {
  return Commit(folders, intent, hook).run();
}

}  // namespace gf
