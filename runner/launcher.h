// The launcher: a single-threaded process that main starts before any thread, engine or device call.
// Everything that has to be forked (trials, commits, evaluators, the signer) is its child, so the
// process that holds the engine never forks.
//
// A launched child has a process group of its own, default signals, /dev/null as standard input, the
// program's stdout and stderr, its channel, the descriptors passed to it, and nothing else. What is
// left of its group when it ends is killed. When gf-run dies, for whatever reason, the launcher kills
// its children and goes, except for those of the entry "commit": they see their channel closed,
// finish or undo what they began, and the launcher waits for them.
#pragma once

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/fd.h"
#include "runner/channel.h"

namespace gf {

// Runs in the forked child; its result is the exit status. An Error that leaves it is sent over the
// channel, and its code is the exit status.
using Entry = int (*)(Channel& channel, const nlohmann::json& request, std::vector<Fd>& fds);

struct EntryPoint {
  std::string_view name;
  Entry run;
};

// The children of this entry are never killed by a destructor or by the end of gf-run.
inline constexpr std::string_view kCommitEntry = "commit";

class Launcher;

class Child {
 public:
  Child(Child&&) noexcept = default;
  Child& operator=(Child&& other) noexcept;
  // Closes the channel, kills the child and its process group (a commit child is left to finish), and
  // waits for its end.
  ~Child();

  Channel& channel() { return channel_; }
  // As this process sees it.
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Waits for the end. The exit status, or 128 + the signal that ended it. May be called again.
  // Throws Code::io if the launcher is gone.
  int wait();
  // SIGKILL to its process group; nothing if it has ended already. wait() then returns.
  void kill();

 private:
  friend class Launcher;
  Child(Launcher& launcher, Channel channel, Fd status, uint64_t number, pid_t pid, bool finishes_itself);
  void finish() noexcept;
  Launcher* launcher_ = nullptr;
  Channel channel_;
  Fd status_;  // the launcher writes the exit status here, once; invalid after the move
  uint64_t number_ = 0;
  pid_t pid_ = 0;
  int exit_status_ = -1;
  bool finishes_itself_ = false;
};

class Launcher {
 public:
  // Forks the launcher. `entries` must live as long as this process. Throws Code::internal if this
  // process has more than one thread already.
  static std::unique_ptr<Launcher> start(std::span<const EntryPoint> entries);
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;
  // Ends the launcher and the children left; waits for it. No Child may outlive its Launcher.
  ~Launcher();

  // Thread safe. The descriptors stay the caller's. Throws Code::internal for an unknown entry.
  Child launch(std::string_view entry, const nlohmann::json& request, std::vector<int> fds = {});

  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  friend class Child;
  Launcher(Channel control, pid_t pid, std::span<const EntryPoint> entries);
  void kill(uint64_t number);
  std::mutex mutex_;  // of control_ and next_
  Channel control_;
  pid_t pid_;
  std::span<const EntryPoint> entries_;
  uint64_t next_ = 1;
};

}  // namespace gf
