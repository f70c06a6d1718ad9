// BenchmarkInfo between processes. The keys are ours; both ends are this program.
#include "runner/content.h"

#include <nlohmann/json.hpp>

namespace gf {
namespace {

using nlohmann::json;

json fix_to_json(const RuleInfo::Fix& fix) {
  return {{"id", fix.id},
          {"system", fix.system},
          {"script", fix.script},
          {"complexity", fix.complexity},
          {"disruption", fix.disruption},
          {"strategy", fix.strategy},
          {"reboot", fix.reboot}};
}

RuleInfo::Fix fix_from_json(const json& value) {
  RuleInfo::Fix fix;
  value.at("id").get_to(fix.id);
  value.at("system").get_to(fix.system);
  value.at("script").get_to(fix.script);
  value.at("complexity").get_to(fix.complexity);
  value.at("disruption").get_to(fix.disruption);
  value.at("strategy").get_to(fix.strategy);
  value.at("reboot").get_to(fix.reboot);
  return fix;
}

json rule_to_json(const RuleInfo& rule) {
  return {{"id", rule.id},
          {"title", rule.title},
          {"severity", rule.severity},
          {"description", rule.description},
          {"fix_text", rule.fix_text},
          {"rationale", rule.rationale},
          {"check_text", rule.check_text},
          {"references", rule.references},
          {"stig_id", rule.stig_id},
          {"sv_id", rule.sv_id},
          {"bash_fix", rule.bash_fix ? fix_to_json(*rule.bash_fix) : json()},
          {"read_paths", rule.read_paths},
          {"walks_file_system", rule.walks_file_system}};
}

RuleInfo rule_from_json(const json& value) {
  RuleInfo rule;
  value.at("id").get_to(rule.id);
  value.at("title").get_to(rule.title);
  value.at("severity").get_to(rule.severity);
  value.at("description").get_to(rule.description);
  value.at("fix_text").get_to(rule.fix_text);
  value.at("rationale").get_to(rule.rationale);
  value.at("check_text").get_to(rule.check_text);
  value.at("references").get_to(rule.references);
  value.at("stig_id").get_to(rule.stig_id);
  value.at("sv_id").get_to(rule.sv_id);
  if (!value.at("bash_fix").is_null()) rule.bash_fix = fix_from_json(value.at("bash_fix"));
  value.at("read_paths").get_to(rule.read_paths);
  value.at("walks_file_system").get_to(rule.walks_file_system);
  return rule;
}

}  // namespace

void to_json(json& value, const BenchmarkInfo& benchmark) {
  json rules = json::array();
  for (const RuleInfo& rule : benchmark.rules) rules.push_back(rule_to_json(rule));
  value = {{"benchmark_id", benchmark.benchmark_id},
           {"profile_id", benchmark.profile_id},
           {"profile_title", benchmark.profile_title},
           {"content_title", benchmark.content_title},
           {"version", benchmark.version},
           {"rules", std::move(rules)}};
}

void from_json(const json& value, BenchmarkInfo& benchmark) {
  value.at("benchmark_id").get_to(benchmark.benchmark_id);
  value.at("profile_id").get_to(benchmark.profile_id);
  value.at("profile_title").get_to(benchmark.profile_title);
  value.at("content_title").get_to(benchmark.content_title);
  value.at("version").get_to(benchmark.version);
  benchmark.rules.clear();
  for (const json& rule : value.at("rules")) benchmark.rules.push_back(rule_from_json(rule));
}

}  // namespace gf
