// The words of XCCDF 1.2 (NIST IR 7275 rev. 4, section 6.6.4.2) for the result of a rule. Compared as
// an enum everywhere; a text is never searched for them.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace gf {

enum class XccdfResult { pass, fail, error, unknown, notapplicable, notchecked, notselected, informational, fixed };

inline constexpr std::array kXccdfResults = {
    XccdfResult::pass,        XccdfResult::fail,          XccdfResult::error,
    XccdfResult::unknown,     XccdfResult::notapplicable, XccdfResult::notchecked,
    XccdfResult::notselected, XccdfResult::informational, XccdfResult::fixed};

std::string_view to_text(XccdfResult result);
// Exactly as XCCDF spells it; nothing else is a result.
std::optional<XccdfResult> xccdf_result_from_text(std::string_view text);

}  // namespace gf
