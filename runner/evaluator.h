// Evaluation of rules with libopenscap. The content is loaded once, in a server process; each
// evaluation is a fork of that server which enters the root to look at. So results are never stale
// (libopenscap before 1.3.10 repeats a session's first answer), a crash of a probe costs one rule, and
// several roots are evaluated at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/fd.h"
#include "runner/content.h"
#include "runner/launcher.h"
#include "runner/xccdf.h"

namespace gf {

struct RootView;

struct RuleState {
  std::string rule_id;
  XccdfResult result = XccdfResult::unknown;
  std::string evidence;  // what was expected and what was found, plain text, at most 4 KiB; empty where it passed
};

class Evaluator {
 public:
  // The launcher's entry for it: {"evaluator", evaluator_main}.
  static constexpr const char* kEntry = "evaluator";

  // Loads the data stream, or plain XCCDF, that `content_memfd` holds (a sealed memfd; stays the
  // caller's). `content_name` is for messages. Throws Code::evaluator or Code::input with the reason:
  // not XML, no benchmark in it, no such profile (and lists those there are).
  static std::unique_ptr<Evaluator> start(Launcher& launcher, int content_memfd, std::string content_name,
                                          std::string profile_id);
  ~Evaluator();

  [[nodiscard]] const BenchmarkInfo& benchmark() const { return benchmark_; }

  // Every rule of the profile, in document order. `xccdf_results`, if given, gets the XCCDF 1.2
  // TestResult document of that scan; when a probe crashed or hung, its rule is `error` in
  // there too; it is left empty only if the profile could not be scanned whole even without those rules.
  std::vector<RuleState> scan(const RootView& view, std::vector<std::byte>* xccdf_results = nullptr);

  // These rules alone, in the order given, each evaluated as in a whole scan (platforms included). Ids
  // are matched exactly; Code::evaluator for one that the profile does not select. Thread safe, as is
  // scan().
  std::vector<RuleState> check(const RootView& view, const std::vector<std::string>& rule_ids);

  // For one evaluation process; a rule that takes longer alone is `error`, "timed out".
  void set_time_limit(std::chrono::milliseconds limit) { time_limit_ = limit; }

 private:
  struct Answer {
    std::vector<RuleState> states;
    std::vector<std::byte> document;
  };
  Evaluator(Child server, BenchmarkInfo benchmark);
  // One evaluation process. No rules: the whole profile. Nothing, and why, when the process was lost.
  std::optional<Answer> ask(const RootView& view, const std::vector<std::string>& rules,
                            const std::vector<std::string>& counted_lost, bool wants_document, std::string& why_lost);
  // Adds to `lost` the rules that took their process with them, and why.
  std::vector<RuleState> one_by_one(const RootView& view, const std::vector<std::string>& rules,
                                    std::map<std::string, std::string>& lost);
  std::mutex mutex_;  // of server_
  Child server_;
  BenchmarkInfo benchmark_;
  std::chrono::milliseconds time_limit_{300'000};
};

// The server process. request: {"content_name", "profile"}; fds: the content.
int evaluator_main(Channel& channel, const nlohmann::json& request, std::vector<Fd>& fds);

}  // namespace gf
