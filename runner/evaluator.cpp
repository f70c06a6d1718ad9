// Evaluator: gf-run's side. What a crash or a hang costs is decided here.
#include "runner/evaluator.h"

#include <set>
#include <utility>

#include "kernels/base/error.h"
#include "kernels/base/text.h"
#include "runner/root_view.h"

namespace gf {

using nlohmann::json;

namespace {

// Besides the limit that the server enforces: for the server itself.
constexpr std::chrono::seconds kServerAnswers{60};

RuleState state_from_json(const json& value) {
  const std::string word = value.at("result").get<std::string>();
  const std::optional<XccdfResult> result = xccdf_result_from_text(word);
  if (!result) throw Error(Code::evaluator, "the evaluator sent the result \"", printable(word), "\"");
  return {value.at("rule").get<std::string>(), *result, value.at("evidence").get<std::string>()};
}

}  // namespace

std::unique_ptr<Evaluator> Evaluator::start(Launcher& launcher, int content_memfd, std::string content_name,
                                            std::string profile_id) {
  return with_context("while loading the SCAP content " + content_name, [&] {
    Child server = launcher.launch(kEntry, {{"content_name", content_name}, {"profile", profile_id}}, {content_memfd});
    const std::optional<Message> loaded = server.channel().receive();
    if (!loaded)
      throw Error(Code::evaluator, content_name, ": the evaluator ended while loading it (status ", server.wait(), ")");
    auto benchmark = loaded->body.at("benchmark").get<BenchmarkInfo>();
    return std::unique_ptr<Evaluator>(new Evaluator(std::move(server), std::move(benchmark)));
  });
}

Evaluator::Evaluator(Child server, BenchmarkInfo benchmark)
    : server_(std::move(server)), benchmark_(std::move(benchmark)) {}

Evaluator::~Evaluator() = default;

std::optional<Evaluator::Answer> Evaluator::ask(const RootView& view, const std::vector<std::string>& rules,
                                                const std::vector<std::string>& counted_lost, bool wants_document,
                                                std::string& why_lost) {
  auto [ours, theirs] = Channel::pair();
  const std::vector<int> fds = {theirs.fd(),       view.mount_ns.get(), view.pid_ns.get(), view.net_ns.get(),
                                view.ipc_ns.get(), view.uts_ns.get(),   view.root.get()};
  {
    const std::lock_guard lock(mutex_);
    server_.channel().send({{"rules", rules},
                            {"counted_lost", counted_lost},
                            {"wants_document", wants_document},
                            {"limit_ms", time_limit_.count()}},
                           fds);
  }
  theirs.close();
  std::optional<Answer> answer;
  while (true) {
    const std::optional<Message> message = ours.receive_for(time_limit_ + kServerAnswers);
    if (!message) throw Error(Code::evaluator, "the evaluator is gone");
    if (message->body.contains("ended")) {
      why_lost = message->body["ended"].get<std::string>();
      return answer;
    }
    answer.emplace();
    for (const json& state : message->body.at("states")) answer->states.push_back(state_from_json(state));
    const auto& document = message->body.at("document").get_binary();
    const auto* first = reinterpret_cast<const std::byte*>(document.data());
    answer->document.assign(first, first + document.size());
  }
}

std::vector<RuleState> Evaluator::one_by_one(const RootView& view, const std::vector<std::string>& rules,
                                             std::map<std::string, std::string>& lost) {
  std::vector<RuleState> states;
  for (const std::string& rule : rules) {
    std::string why;
    std::optional<Answer> answer = ask(view, {rule}, {}, false, why);
    if (answer && answer->states.size() == 1) {
      states.push_back(std::move(answer->states.front()));
      continue;
    }
    lost[rule] = why;
    states.push_back({rule, XccdfResult::error, why});
  }
  return states;
}

std::vector<RuleState> Evaluator::scan(const RootView& view, std::vector<std::byte>* xccdf_results) {
  if (xccdf_results != nullptr) xccdf_results->clear();
  std::vector<std::string> all;
  for (const RuleInfo& rule : benchmark_.rules) all.push_back(rule.id);
  std::string why;
  if (std::optional<Answer> answer = ask(view, {}, {}, xccdf_results != nullptr, why)) {
    if (xccdf_results != nullptr) *xccdf_results = std::move(answer->document);
    return std::move(answer->states);
  }
  // Some probe took the process with it. Each rule alone finds which; the scan is then done again without
  // them, so that there is a document of it too.
  std::map<std::string, std::string> lost;
  std::vector<RuleState> states = one_by_one(view, all, lost);
  std::vector<std::string> without;
  for (const auto& [rule, reason] : lost) without.push_back(rule);
  if (std::optional<Answer> answer = ask(view, {}, without, xccdf_results != nullptr, why)) {
    if (xccdf_results != nullptr) *xccdf_results = std::move(answer->document);
    states = std::move(answer->states);
    for (RuleState& state : states)
      if (const auto reason = lost.find(state.rule_id); reason != lost.end()) state.evidence = reason->second;
  }
  return states;
}

std::vector<RuleState> Evaluator::check(const RootView& view, const std::vector<std::string>& rule_ids) {
  std::set<std::string> known;
  for (const RuleInfo& rule : benchmark_.rules) known.insert(rule.id);
  for (const std::string& rule : rule_ids)
    if (!known.contains(rule))
      throw Error(Code::evaluator, "the profile ", benchmark_.profile_id, " does not select a rule \"", printable(rule),
                  "\"");
  if (rule_ids.empty()) return {};
  std::string why;
  std::map<std::string, RuleState> by_rule;
  if (std::optional<Answer> answer = ask(view, rule_ids, {}, false, why)) {
    for (RuleState& state : answer->states) by_rule[state.rule_id] = std::move(state);
  } else if (rule_ids.size() == 1) {
    return {{rule_ids.front(), XccdfResult::error, why}};
  } else {
    std::map<std::string, std::string> lost;
    for (RuleState& state : one_by_one(view, rule_ids, lost)) by_rule[state.rule_id] = std::move(state);
  }
  std::vector<RuleState> states;
  for (const std::string& rule : rule_ids) {
    const auto state = by_rule.find(rule);
    if (state == by_rule.end()) throw Error(Code::evaluator, "the evaluator gave no result for ", rule);
    states.push_back(state->second);
  }
  return states;
}

}  // namespace gf
