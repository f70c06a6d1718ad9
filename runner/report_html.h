// report.html: the same facts for people, in one file. No script, no fonts, nothing loaded: its
// content security policy forbids everything but its own style sheet, which it names by digest.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace gf {

// `report` is what build_report() returns. Same report, same bytes. All text in it is foreign and
// is escaped; control characters are shown, not sent.
std::string render_html(const nlohmann::json& report);

}  // namespace gf
