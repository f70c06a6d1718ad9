// The rounds.
#include "tests/runner_job/kill_runs.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <random>
#include <sstream>

#include "runner/journal.h"
#include "runner/record.h"
#include "tests/runner_job/small_job.h"
#include "tests/support/small_root.h"

namespace gf::test {
namespace {

namespace fs = std::filesystem;
using Tree = std::map<std::string, std::string>;

// What one commit changes: all of it is as before, or all of it as after.
const std::vector<std::vector<std::string>> kCommits = {
    {"/etc/app.conf"}, {"/etc/motd"}, {"/etc/secret"}, {"/etc/app.d", "/etc/app.d/50-hardening.conf"}};

std::string at(const Tree& tree, const std::string& path) {
  const auto found = tree.find(path);
  return found == tree.end() ? "" : found->second;
}

void check_is_committed_state(const Tree& now, const Tree& before, const Tree& after) {
  Tree expected = before;
  for (const auto& commit : kCommits) {
    const bool done = at(now, commit.front()) == at(after, commit.front());
    for (const std::string& path : commit) {
      expected.erase(path);
      const std::string state = at(done ? after : before, path);
      if (!state.empty()) expected[path] = state;
    }
  }
  for (const auto& [path, state] : now)
    if (at(expected, path) != state) throw Error(Code::target, path, ": neither as before nor as committed");
  for (const auto& [path, state] : expected)
    if (at(now, path).empty()) throw Error(Code::target, path, ": is gone");
}

// Every process of the session: field 6 of /proc/PID/stat, behind the name in brackets.
void kill_session(pid_t session) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "stat");
    std::string text((std::istreambuf_iterator<char>(file)), {});
    const size_t bracket = text.rfind(')');
    if (bracket == std::string::npos) continue;
    std::istringstream fields(text.substr(bracket + 1));
    std::string state;
    pid_t parent = 0, group = 0, in_session = 0;
    fields >> state >> parent >> group >> in_session;
    if (in_session == session) ::kill(static_cast<pid_t>(std::stol(name)), SIGKILL);
  }
}

void reset(const SmallJob& job, const fs::path& pristine) {
  for (const char* folder : {"target", "state", "reports"}) fs::remove_all(job.path(folder));
  must_run({"cp", "-a", pristine.native(), job.target().native()});
}

// The commit process may still be finishing; it holds the locks until it has.
Finished recover_when_unlocked(const SmallJob& job) {
  for (int tries = 0; tries < 2000; ++tries) {
    Finished finished = run({std::string(GF_BIN_DIR) + "/gf-run", "recover", job.path("job.toml").native()});
    if (finished.status != static_cast<int>(Code::locked)) return finished;
    ::usleep(5000);
  }
  throw Error(Code::locked, "the locks were never released after a kill");
}

void check_journal(const SmallJob& job) {
  if (const auto run_id = latest_run(job.path("state"))) open_for_recovery(journal_path(job.path("state"), *run_id));
}

}  // namespace

KillCounts kill_runs(int rounds, uint64_t seed) {
  const SmallJob job;
  const fs::path pristine = job.path("pristine");
  must_run({"cp", "-a", job.target().native(), pristine.native()});
  const Tree before = snapshot(pristine);
  const auto start_time = std::chrono::steady_clock::now();
  if (job.gf_run().status != 0) throw Error(Code::internal, "the run that shows how long one takes failed");
  const auto whole_us =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start_time);
  const Tree after = snapshot(job.target());

  std::mt19937_64 random(seed);
  KillCounts counts;
  for (; counts.rounds < rounds; ++counts.rounds) {
    reset(job, pristine);
    const pid_t child =
        start({std::string(GF_BIN_DIR) + "/gf-run", job.path("job.toml").native()}, job.path("log").native());
    ::usleep(static_cast<useconds_t>(random() % static_cast<uint64_t>(whole_us.count())));
    if (counts.rounds % 2 == 0)
      ::kill(child, SIGKILL);
    else
      kill_session(child);
    if (wait_for(child) == 128 + SIGKILL) ++counts.cut_short;
    const Finished recovered = recover_when_unlocked(job);
    if (recovered.status != 0) throw Error(Code::recovery, "round ", counts.rounds, ": ", recovered.output);
    if (recovered.output.find("nothing to recover") == std::string::npos) ++counts.recovered;
    with_context("round " + std::to_string(counts.rounds),
                 [&] { check_is_committed_state(snapshot(job.target()), before, after); });
    check_journal(job);
    const Finished next = job.gf_run();
    if (next.status != 0 || snapshot(job.target()) != after)
      throw Error(Code::target, "round ", counts.rounds, ": the next run did not finish the work: ", next.output);
  }
  return counts;
}

}  // namespace gf::test
