// Target: opens, locks, branches, and hands commits to a process of their own.
#include "runner/target.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>

#include "kernels/base/atomic_file.h"
#include "kernels/base/error.h"
#include "kernels/base/text.h"
#include "policy/gate.h"
#include "runner/commit_intent.h"
#include "runner/mounts.h"
#include "runner/recover.h"
#include "runner/safe_path.h"
#include "runner/target_lock.h"
#include "runner/trial_state.h"

namespace gf {
namespace {

using nlohmann::json;

// Links on the way are the administrator's own; what lies below the target's root is not trusted.
std::filesystem::path canonical(const std::filesystem::path& path, std::string_view what) {
  std::error_code failed;
  const auto absolute = std::filesystem::weakly_canonical(std::filesystem::absolute(path), failed);
  if (failed) throw Error(Code::input, what, " ", path.native(), ": ", failed.message());
  std::string text = absolute.native();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

// "/x" inside the target for a path of this machine that lies below it.
std::optional<std::string> inside(const std::filesystem::path& path, const std::filesystem::path& target) {
  const std::string text = canonical(path, "the path").native();
  if (text == target.native() || !is_within(text, target.native())) return std::nullopt;
  return target == "/" ? text : text.substr(target.native().size());
}

void check_file_system(const Fd& target, const std::filesystem::path& path) {
  struct statx found {};
  if (::statx(target.get(), "", AT_EMPTY_PATH, STATX_MNT_ID, &found) != 0)
    throw system_error(errno, "cannot examine the target " + path.native());
  std::string text;
  const Fd file = open_file("/proc/self/mountinfo", O_RDONLY);
  std::vector<char> buffer(1 << 16);
  ssize_t got = 0;
  while ((got = ::read(file.get(), buffer.data(), buffer.size())) > 0)
    text.append(buffer.data(), static_cast<size_t>(got));
  for (const MountEntry& entry : parse_mountinfo(text)) {
    if (entry.id != found.stx_mnt_id) continue;
    if (can_hold_target(entry)) return;
    throw Error(Code::target, "the target ", path.native(), " lies on a file system of type ", entry.type,
                "; expected a local one (ext4, xfs, btrfs, tmpfs ...)");
  }
}

std::string commit_number(size_t number) {
  std::string digits = std::to_string(number);
  return std::string(6 - std::min<size_t>(6, digits.size()), '0') + digits;
}

void check_run_name(std::string_view run_id) {
  const bool is_plain =
      !run_id.empty() && run_id.size() <= 64 && run_id.front() != '.' && std::ranges::all_of(run_id, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
      });
  if (!is_plain)
    throw Error(Code::input, "a run's id names folders: expected 1 to 64 of A-Z a-z 0-9 . _ -, found ",
                printable(run_id));
}

bool same_change(const Change& a, const Change& b) {
  return a.path == b.path && same_metadata(a.before, b.before) && same_content(a.before, b.before) &&
         same_metadata(a.after, b.after) && same_content(a.after, b.after) && a.content_changed == b.content_changed;
}

Receipt receipt_of(const Intent& intent) {
  Receipt receipt{intent.commit_id, intent.rule_id, {}};
  for (const IntentEntry& entry : intent.entries) receipt.changes.push_back(entry.change);
  return receipt;
}

}  // namespace

struct Target::State {
  TargetConfig config;
  Launcher* launcher = nullptr;
  std::filesystem::path path;
  std::filesystem::path state_path;
  std::shared_ptr<const Fd> root;
  uint64_t device = 0;
  uint64_t inode = 0;
  Fd state_folder;
  Fd commits;
  std::vector<Fd> locks;
  std::vector<std::string> hidden;     // inside the target
  std::vector<std::string> forbidden;  // inside the target: never committed to
  std::mutex commit_mutex;             // one commit or roll-back at a time

  void open_folders();
  void refuse_protected(const ChangeSet& set) const;
  static Intent intent_of(const Trial::State& trial, const ChangeSet& set, std::string_view run_id,
                          std::string commit_id);
  std::string new_commit_id(std::string_view run_id);
  std::map<std::string, size_t, std::less<>> numbers_given;  // by run; a conflict uses one up, too
  CommitResult result_after_death(const Intent& intent);
};

Target::Target(std::unique_ptr<State> state) : state_(std::move(state)) {}
Target::~Target() = default;

void Target::State::open_folders() {
  path = canonical(config.path, "the target");
  state_path = canonical(config.state_folder, "the state folder");
  if (config.kind == TargetConfig::Kind::host && path != "/")
    throw Error(Code::input, "a target of kind host is /, found ", path.native());
  if (config.kind == TargetConfig::Kind::root && path == "/")
    throw Error(Code::input, "a target of kind root is a folder other than /; use kind host for this machine");
  if (state_path == path) throw Error(Code::input, "the state folder cannot be the target itself: ", path.native());
  Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder)
    throw Error(Code::target, "the target ", path.native(), ": ", system_error(errno, "cannot open").message());
  const struct stat status = stat_of(folder, path.native());
  device = status.st_dev;
  inode = status.st_ino;
  root = std::make_shared<const Fd>(std::move(folder));
  check_file_system(*root, path);
  make_folders(state_path, 0700);
  state_folder = open_directory(state_path);
  for (const char* name : {"locks", "trial", "commits"})
    if (::mkdirat(state_folder.get(), name, 0700) != 0 && errno != EEXIST)
      throw system_error(errno, "cannot create " + (state_path / name).native());
  commits = open_in_root_without_links(state_folder, "commits", O_RDONLY | O_DIRECTORY);
}

std::unique_ptr<Target> Target::open(const TargetConfig& config, Launcher& launcher) {
  auto state = std::make_unique<State>();
  state->config = config;
  state->launcher = &launcher;
  state->open_folders();
  state->locks = lock_for_run(state->state_folder, *state->root, state->state_path, state->path);
  std::vector<std::filesystem::path> hidden = config.hidden;
  hidden.push_back(state->state_path);
  for (const auto& path : hidden)
    if (const auto found = inside(path, state->path)) state->hidden.push_back(*found);
  // A folder covers what lies in it.
  std::ranges::sort(state->hidden);
  std::vector<std::string> outermost;
  for (const std::string& path : state->hidden)
    if (outermost.empty() || !is_within(path, outermost.back())) outermost.push_back(path);
  state->hidden = outermost;
  state->forbidden = state->hidden;
  for (const auto& path : config.protected_paths)
    if (const auto found = inside(path, state->path)) state->forbidden.push_back(*found);
  return std::unique_ptr<Target>(new Target(std::move(state)));
}

std::unique_ptr<Trial> Target::branch() {
  const json request = {{"target", state_->path.native()},
                        {"device", state_->device},
                        {"inode", state_->inode},
                        {"is_host", state_->config.kind == TargetConfig::Kind::host},
                        {"scratch", (state_->state_path / "trial").native()},
                        {"upper_limit_bytes", state_->config.upper_limit_bytes},
                        {"hidden", state_->hidden}};
  auto trial = std::make_unique<Trial::State>(state_->launcher->launch("trial", request), state_->root);
  with_context("while making a trial of " + state_->path.native(), [&] { trial->receive_tree(); });
  return std::unique_ptr<Trial>(new Trial(std::move(trial)));
}

void Target::State::refuse_protected(const ChangeSet& set) const {
  for (const Change& change : set.changes)
    for (const std::string& path : forbidden) {
      const bool replaces = change.before.type != FileType::directory || change.after.type != FileType::directory;
      if (is_within(change.path, path) || (replaces && is_within(path, change.path)))
        throw Error(Code::forbidden, printable(change.path), ": belongs to this program and is never committed to");
    }
}

std::string Target::State::new_commit_id(std::string_view run_id) {
  const std::string prefix = std::string(run_id) + "-";
  size_t& highest = numbers_given[std::string(run_id)];
  for (const std::string& name : names_in(commits, "the commits folder")) {
    if (!name.starts_with(prefix)) continue;
    const std::string digits = name.substr(prefix.size());
    if (digits.size() >= 6 && digits.size() < 12 && digits.find_first_not_of("0123456789") == std::string::npos)
      highest = std::max<size_t>(highest, std::stoul(digits));
  }
  return prefix + commit_number(++highest);
}

Intent Target::State::intent_of(const Trial::State& trial, const ChangeSet& set, std::string_view run_id,
                                std::string commit_id) {
  Intent intent{std::move(commit_id), std::string(run_id), set.rule_id, set.origin, {}};
  std::map<uint64_t, int64_t> first_name;
  for (const Change& change : set.changes) {
    IntentEntry entry;
    entry.change = change;
    const auto linked = trial.linked.find(change.path);
    if (linked != trial.linked.end()) {
      const auto [first, is_first] = first_name.emplace(linked->second, static_cast<int64_t>(intent.entries.size()));
      if (!is_first) entry.linked_to = first->second;
    }
    intent.entries.push_back(std::move(entry));
  }
  settle_entries(intent);
  return intent;
}

CommitResult Target::commit(const Trial& trial, const ApprovedChanges& approved, std::string_view run_id,
                            std::string commit_id) {
  const std::lock_guard lock(state_->commit_mutex);
  check_run_name(run_id);
  const ChangeSet& set = approved.changes();
  const Trial::State& from = *trial.state_;
  if (!from.last || !std::ranges::equal(from.last->changes, set.changes, same_change))
    throw Error(Code::forbidden, "the changes that were approved are not the last ones of this trial");
  state_->refuse_protected(set);
  if (!from.moved.empty()) {
    const auto& [path, what] = *from.moved.begin();
    return {CommitResult::Kind::conflict, {}, printable(path) + ": " + what};
  }
  if (commit_id.empty()) commit_id = state_->new_commit_id(run_id);
  if (!commit_id.starts_with(std::string(run_id) + "-") || commit_id.find('/') != std::string::npos)
    throw Error(Code::internal, "the commit id ", printable(commit_id), " is not one of run ", run_id);
  const Intent intent = State::intent_of(from, set, run_id, std::move(commit_id));
  std::vector<int> fds = {state_->root->get(), from.root->get(), state_->commits.get()};
  for (const Fd& held : state_->locks) fds.push_back(held.get());
  Child child = state_->launcher->launch("commit", {{"intent", to_json(intent)}}, fds);
  const std::optional<Message> answer =
      with_context("while committing " + intent.commit_id, [&] { return child.channel().receive(); });
  child.wait();
  if (!answer) return state_->result_after_death(intent);
  if (answer->body.contains("conflict"))
    return {CommitResult::Kind::conflict, {}, answer->body.at("conflict").get<std::string>()};
  return {CommitResult::Kind::committed, receipt_of(intent_from_json(answer->body.at("intent"), "a commit's answer")),
          ""};
}

// The commit process was killed: what is on disk decides.
CommitResult Target::State::result_after_death(const Intent& intent) {
  recover_commits(*root, commits);
  const Fd folder = try_open_folder(commits, intent.commit_id);
  if (folder && has_file(folder, "done") && !has_file(folder, "undone"))
    return {CommitResult::Kind::committed, receipt_of(read_intent(folder, intent.commit_id)), ""};
  throw Error(Code::io, "the process of commit ", intent.commit_id, " was killed; the target is as it was before");
}

std::string Target::new_commit_id(std::string_view run_id) {
  const std::lock_guard lock(state_->commit_mutex);
  check_run_name(run_id);
  return state_->new_commit_id(run_id);
}

void Target::undo_in(const Trial& trial, const Receipt& receipt) const {
  const Fd folder = try_open_folder(state_->commits, receipt.commit_id);
  if (!folder) throw Error(Code::target, "there is no commit ", printable(receipt.commit_id), " in the state folder");
  const Intent intent = read_intent(folder, receipt.commit_id);
  const Fd& view = *trial.state_->root;
  if (const auto obstacle = obstacle_to_undo(view, intent, Expect::whole))
    throw Error(Code::target, "commit ", receipt.commit_id, " cannot be taken back in a trial: ", *obstacle);
  undo_commit(view, folder, intent, {});
}

void Target::roll_back(const Receipt& receipt) { roll_back(receipt.commit_id); }

void Target::roll_back(std::string_view commit_id) {
  const std::lock_guard lock(state_->commit_mutex);
  check_run_name(commit_id.substr(0, commit_id.rfind('-')));
  roll_back_commit(*state_->root, state_->commits, std::string(commit_id));
}

std::vector<Receipt> Target::commits_of(std::string_view run_id) const {
  check_run_name(run_id);
  std::vector<Receipt> receipts;
  for (const std::string& id : names_in(state_->commits, "the commits folder")) {
    const size_t dash = id.rfind('-');
    if (dash == std::string::npos || std::string_view(id).substr(0, dash) != run_id) continue;
    const Fd folder = try_open_folder(state_->commits, id);
    if (!folder || !has_file(folder, "done") || has_file(folder, "undone")) continue;
    receipts.push_back(receipt_of(read_intent(folder, id)));
  }
  std::ranges::reverse(receipts);
  return receipts;
}

Recovery Target::recover() {
  const std::lock_guard lock(state_->commit_mutex);
  Recovered recovered = recover_commits(*state_->root, state_->commits);
  return {static_cast<Recovery::Kind>(recovered.kind), std::move(recovered.commit_id), std::move(recovered.rule_id)};
}

}  // namespace gf
