// A report in a terminal: a screen of text, with everything foreign made printable.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace gf {

std::string show_report(const nlohmann::json& report);

}  // namespace gf
