// The words of report.json as people read them; the page and the terminal use the same.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace gf {

std::string result_words(const nlohmann::json& result);  // "notapplicable" -> "not applicable"; null -> "not scanned"
std::string outcome_words(std::string_view outcome);     // "needs_reboot" -> "needs a reboot"
std::string origin_words(const nlohmann::json& origin);  // "vetted" -> "vetted fix"; null -> ""
std::string count_words(int64_t count, std::string_view one, std::string_view many);  // "1 rule", "2 rules"
std::string seconds_words(double seconds);  // "0.3 s", "42 s", "4 min 10 s", "2 h 5 min"
// The last part of an XCCDF id, which people use: "sshd_set_idle_timeout".
std::string short_rule_id(std::string_view id);

// One or two sentences that say how the run ended; plain text.
struct Headline {
  std::string verdict;
  std::string details;
  bool good = false;  // nothing is open, nothing got worse, the run is complete
};
Headline headline(const nlohmann::json& report);

}  // namespace gf
