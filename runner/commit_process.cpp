// The commit process: request and answer around commit_apply.
//
// Request: {"intent": {...}}; descriptors: the target's root, the trial's merged root, the commits
// folder, and the locks, which nobody else can take before this process is done.
// Answer: {"intent": {...}} as committed, or {"conflict": text}, or an error.
#include "runner/commit_process.h"

#include <csignal>
#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "runner/channel.h"
#include "runner/commit_apply.h"

namespace gf {

int commit_main(Channel& channel, const nlohmann::json& request, std::vector<Fd>& fds) {
  return commit_main(channel, request, fds, {});
}

int commit_main(Channel& channel, const nlohmann::json& request, std::vector<Fd>& fds, const CommitHook& hook) {
  // Stopping the service must not cut a commit short: it takes milliseconds.
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE}) ::signal(number, SIG_IGN);
  if (fds.size() < 3) throw Error(Code::internal, "a commit needs the target, the trial and the commits folder");
  Intent intent = intent_from_json(request.at("intent"), "the intent of a commit");
  const std::optional<std::string> conflict = apply_commit({fds[0], fds[1], fds[2]}, intent, hook);
  nlohmann::json answer;
  if (conflict)
    answer["conflict"] = *conflict;
  else
    answer["intent"] = to_json(intent);
  try {
    channel.send(answer);
  } catch (const Error&) {
    // gf-run died meanwhile. The markers on disk tell the next one.
  }
  return 0;
}

}  // namespace gf
