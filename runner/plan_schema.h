// What the roles may write: JSON schemas that the sampler enforces, and the plan read back from it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gf {

// The Worker's answer: one fix for one rule, and everything an auditor wants to know about it.
struct Plan {
  std::string rule_id;
  std::string reason;
  std::string preconditions;
  std::vector<std::string> files;
  std::vector<std::string> services;
  std::string backup;
  std::string script;  // bash
  std::string rollback;
  std::string validation;
  bool needs_reboot = false;
  std::string risk;  // low, medium, high
};

// The rule id is a constant in it, so that a plan for another rule cannot be written.
nlohmann::json plan_schema(std::string_view rule_id);
// Throws Code::input if the text is not such a plan (the sampler makes sure that it is).
Plan parse_plan(std::string_view json, std::string_view rule_id);
nlohmann::json to_json(const Plan& plan);

// The Architect's answer: the approach, and whether to go on. {"judgement","approach","files"}
nlohmann::json approach_schema();
// The Reflector's answer: one distilled lesson. {"cause","lesson"}
nlohmann::json lesson_schema();

inline constexpr size_t kMaxLessonCharacters = 200;

}  // namespace gf
