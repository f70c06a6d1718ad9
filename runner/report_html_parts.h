// The parts of the page, each a function from the report to HTML. report_html.cpp puts them together.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace gf {

std::string tag(const std::string& css_class, const std::string& words);
std::string result_tag(const nlohmann::json& result);
std::string outcome_tag(const nlohmann::json& rule);
// high, medium, low, and then whatever else the content says.
std::vector<std::string> severities_in_order(const nlohmann::json& report);
// Where the page shows this rule: "r-17", by its place in the report.
std::string rule_anchor(size_t index);

// report_html_rules.cpp
std::string rules_section(const nlohmann::json& report);
// report_html_changes.cpp
std::string changes_section(const nlohmann::json& report);
std::string open_section(const nlohmann::json& report);
std::string files_section(const nlohmann::json& report);
std::string waivers_section(const nlohmann::json& report);
// report_html_origins.cpp
std::string times_section(const nlohmann::json& report);
std::string origins_section(const nlohmann::json& report);
std::string verify_section(const nlohmann::json& report);

}  // namespace gf
