// gf-run's side of a trial: asks the keeper to run scripts, and reads what changed.
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "kernels/base/error.h"
#include "policy/gate.h"
#include "policy/redacted.h"
#include "runner/change_reader.h"
#include "runner/safe_path.h"
#include "runner/trial_state.h"

namespace gf {
namespace {

using nlohmann::json;

// The kernel stamps files with a clock that ticks this seldom (HZ=100) at worst.
constexpr int64_t kStampLag_ns = 10'000'000;

int64_t real_time_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

Message expect_message(Channel& channel) {
  std::optional<Message> message = channel.receive();
  if (!message) throw Error(Code::io, "the process that holds a trial ended unexpectedly");
  return std::move(*message);
}

ChangeSet::Reader reader_of(std::shared_ptr<const Fd> root) {
  return [root = std::move(root)](const std::string& path, size_t limit) -> std::string {
    // O_NONBLOCK: a FIFO must not stop the gate.
    const Fd file = try_open_in_root(*root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, false);
    if (!file || !S_ISREG(stat_of(file, path).st_mode)) return {};
    std::string text(std::min<size_t>(limit, static_cast<size_t>(stat_of(file, path).st_size)), '\0');
    size_t done = 0;
    while (done < text.size()) {
      const ssize_t got = ::pread(file.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
      if (got <= 0) break;
      done += static_cast<size_t>(got);
    }
    text.resize(done);
    return text;
  };
}

}  // namespace

void Trial::State::receive_tree() {
  Message first = expect_message(keeper.channel());
  if (first.fds.size() != 6) throw Error(Code::internal, "a trial's keeper sent ", first.fds.size(), " descriptors");
  view = {std::move(first.fds[0]), std::move(first.fds[1]), std::move(first.fds[2]),
          std::move(first.fds[3]), std::move(first.fds[4]), std::move(first.fds[5])};
  root = std::make_shared<const Fd>(view.root.duplicate());
  for (auto left = first.body.at("overlays").get<size_t>(); left > 0; --left) {
    Message layer = expect_message(keeper.channel());
    uppers.push_back({layer.body.at("prefix").get<std::string>(), std::move(layer.fds.at(0)),
                      layer.body.at("keeps_user_attributes").get<bool>()});
  }
  since_ns = real_time_ns();
}

Trial::Trial(std::unique_ptr<State> state) : state_(std::move(state)) {}
Trial::~Trial() = default;

const RootView& Trial::view() const { return state_->view; }
const std::vector<std::string>& Trial::left_behind() const { return state_->left_behind; }

namespace {

ScriptResult run_in(Channel& channel, int64_t since_ns, json request, const ScriptLimits& limits) {
  // A change of the target after a copy-up must never carry a stamp from before since_ns.
  if (const int64_t early = since_ns + kStampLag_ns - real_time_ns(); early > 0 && early <= kStampLag_ns)
    std::this_thread::sleep_for(std::chrono::nanoseconds(early));
  request["seconds"] = limits.seconds;
  request["output_bytes"] = limits.output_bytes;
  request["memory_bytes"] = limits.memory_bytes;
  request["file_bytes"] = limits.file_bytes;
  request["processes"] = limits.processes;
  channel.send(request);
  const json answer = expect_message(channel).body;
  ScriptResult result;
  result.exit_code = answer.at("exit_code").get<int>();
  result.timed_out = answer.at("timed_out").get<bool>();
  result.output = redacted(answer.at("output").get<std::string>());
  result.output_cut = answer.at("output_cut").get<bool>();
  result.seconds = answer.at("seconds").get<double>();
  return result;
}

}  // namespace

ScriptResult Trial::run(const ApprovedScript& script, const ScriptLimits& limits) {
  state_->last.reset();
  return run_in(state_->keeper.channel(), state_->since_ns,
                {{"argv", {script.interpreter(), "{script}"}}, {"script", script.script()}}, limits);
}

ScriptResult Trial::run_check(const std::vector<std::string>& argv, const ScriptLimits& limits) {
  if (argv.empty()) throw Error(Code::internal, "a check without a command");
  state_->last.reset();
  return run_in(state_->keeper.channel(), state_->since_ns, {{"argv", argv}, {"script", ""}}, limits);
}

ChangeSet Trial::changes(std::string rule_id, Origin origin, std::vector<std::string> named_paths) {
  ReadChanges read = with_context("while reading what a trial changed", [&] {
    return read_changes(*state_->target_root, *state_->root, state_->uppers, state_->since_ns, named_paths);
  });
  ChangeSet set;
  set.rule_id = std::move(rule_id);
  set.origin = origin;
  set.changes = std::move(read.changes);
  set.named_paths = std::move(named_paths);
  set.read_after = reader_of(state_->root);
  set.read_before = reader_of(state_->target_root);
  state_->last = set;
  state_->left_behind = std::move(read.left_behind);
  state_->moved = std::move(read.moved);
  state_->linked = std::move(read.linked);
  return set;
}

}  // namespace gf
