// Running libopenscap over one root, and reading its results as enums.
#include "runner/oscap_evaluation.h"

#include <map>
#include <set>

#include "kernels/base/error.h"
#include "kernels/base/text.h"
#include "runner/oscap.h"
#include "runner/oscap_content.h"
#include "runner/oscap_evidence.h"

namespace gf {
namespace {

// How a rule is reported whose probe took a process with it. The caller knows more and says it.
constexpr std::string_view kLost = "the process that evaluated this rule was lost";

XccdfResult result_of(xccdf_test_result_type_t result, const std::string& rule_id) {
  switch (result) {
    case XCCDF_RESULT_PASS: return XccdfResult::pass;
    case XCCDF_RESULT_FAIL: return XccdfResult::fail;
    case XCCDF_RESULT_ERROR: return XccdfResult::error;
    case XCCDF_RESULT_UNKNOWN: return XccdfResult::unknown;
    case XCCDF_RESULT_NOT_APPLICABLE: return XccdfResult::notapplicable;
    case XCCDF_RESULT_NOT_CHECKED: return XccdfResult::notchecked;
    case XCCDF_RESULT_NOT_SELECTED: return XccdfResult::notselected;
    case XCCDF_RESULT_INFORMATIONAL: return XccdfResult::informational;
    case XCCDF_RESULT_FIXED: return XccdfResult::fixed;
  }
  throw Error(Code::evaluator, "the rule ", rule_id,
              " has a result that XCCDF does not know: ", static_cast<int>(result));
}

// A rule that is left out by name keeps every other step of a whole scan (platforms, conflicts,
// requirements, deselected groups) as it is; asking for a rule by name would not.
void leave_out_others(const OscapContent& content, const EvaluationRequest& request,
                      const std::vector<std::string>& selected) {
  const std::set<std::string> wanted(request.rules.begin(), request.rules.end());
  const std::set<std::string> lost(request.counted_lost.begin(), request.counted_lost.end());
  for (const std::string& rule : selected)
    if (lost.contains(rule) || (!wanted.empty() && !wanted.contains(rule)))
      xccdf_session_skip_rule(content.session(), rule.c_str());
}

// Scores are for the document. Each one searches the results of all rules for every rule, which takes longer
// than the evaluation of one rule.
void leave_out_scores(const OscapContent& content) {
  const std::unique_ptr<xccdf_model_iterator, decltype(&xccdf_model_iterator_free)> models(
      xccdf_benchmark_get_models(content.benchmark()), &xccdf_model_iterator_free);
  while (xccdf_model_iterator_has_more(models.get())) {
    xccdf_model_iterator_next(models.get());
    xccdf_model_iterator_remove(models.get());
  }
}

std::map<std::string, oval_agent_session*> make_agents(const OscapContent& content) {
  std::map<std::string, oval_agent_session*> agents;
  for (const OscapContent::OvalFile& file : content.oval_files()) {
    oval_agent_session* agent = oval_agent_new_session(file.model, file.href.c_str());
    if (agent == nullptr)
      throw Error(Code::evaluator, "cannot look at the system for ", file.href, ": ", oscap::last_error());
    xccdf_policy_model_register_engine_oval(content.policy_model(), agent);
    agents.emplace(file.href, agent);
  }
  return agents;
}

xccdf_result* newest_result(xccdf_policy* policy) {
  xccdf_result* newest = nullptr;
  oscap::each(xccdf_policy_get_results(policy), [&newest](xccdf_result* result) { newest = result; });
  if (newest == nullptr) throw Error(Code::evaluator, "libopenscap gave no results");
  return newest;
}

std::vector<std::byte> document_of(const OscapContent& content, xccdf_result* evaluated) {
  // The version of XCCDF, and so the namespace, is its benchmark's: as a part of none it would have none.
  xccdf_result* result = xccdf_result_clone(evaluated);
  xccdf_benchmark_add_result(content.benchmark(), result);
  const std::unique_ptr<oscap_source, decltype(&oscap_source_free)> source(
      xccdf_result_export_source(result, "xccdf-results.xml"), &oscap_source_free);
  char* bytes = nullptr;
  size_t size = 0;
  if (!source || oscap_source_get_raw_memory(source.get(), &bytes, &size) != 0)
    throw Error(Code::evaluator, "cannot write the XCCDF results: ", oscap::last_error());
  const auto* first = reinterpret_cast<const std::byte*>(bytes);
  std::vector<std::byte> document(first, first + size);
  std::free(bytes);
  return document;
}

}  // namespace

EvaluationAnswer evaluate_once(const OscapContent& content, const EvaluationRequest& request,
                               const std::vector<std::string>& selected) {
  leave_out_others(content, request, selected);
  if (!request.wants_document) leave_out_scores(content);
  const std::map<std::string, oval_agent_session*> agents = make_agents(content);
  if (xccdf_session_evaluate(content.session()) != 0)
    throw Error(Code::evaluator, "the evaluation stopped: ", oscap::last_error());

  const std::set<std::string> lost(request.counted_lost.begin(), request.counted_lost.end());
  std::set<std::string> wanted(request.rules.begin(), request.rules.end());
  if (wanted.empty()) wanted.insert(selected.begin(), selected.end());
  EvaluationAnswer answer;
  std::map<std::string, size_t> place;
  xccdf_result* result = newest_result(content.policy());
  oscap::each(xccdf_result_get_rule_results(result), [&](xccdf_rule_result* rule) {
    const std::string id = oscap::text_or_empty(xccdf_rule_result_get_idref(rule));
    if (lost.contains(id)) xccdf_rule_result_set_result(rule, XCCDF_RESULT_ERROR);
    if (!wanted.contains(id)) return;
    RuleState state{id, result_of(xccdf_rule_result_get_result(rule), id), {}};
    if (lost.contains(id))
      state.evidence = kLost;
    else if (state.result != XccdfResult::pass && state.result != XccdfResult::notselected)
      state.evidence = evidence_of(rule, agents);
    const auto [position, is_first] = place.emplace(id, answer.states.size());
    if (is_first) {
      answer.states.push_back(std::move(state));
      return;
    }
    // multi-check: one result for each definition, joined by XCCDF's table for AND.
    RuleState& joined = answer.states[position->second];
    const auto number = [](XccdfResult word) {
      return static_cast<xccdf_test_result_type_t>(static_cast<int>(word) + 1);
    };
    static_assert(static_cast<int>(XccdfResult::pass) + 1 == XCCDF_RESULT_PASS &&
                  static_cast<int>(XccdfResult::fixed) + 1 == XCCDF_RESULT_FIXED);
    joined.result = result_of(xccdf_test_result_resolve_and_operation(number(joined.result), number(state.result)), id);
    joined.evidence = shortened(joined.evidence + state.evidence, kMaxEvidenceBytes);
  });
  if (request.wants_document) answer.document = document_of(content, result);
  return answer;
}

}  // namespace gf
