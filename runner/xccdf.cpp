// The spelling of XCCDF's results.
#include "runner/xccdf.h"

namespace gf {

std::string_view to_text(XccdfResult result) {
  switch (result) {
    case XccdfResult::pass: return "pass";
    case XccdfResult::fail: return "fail";
    case XccdfResult::error: return "error";
    case XccdfResult::unknown: return "unknown";
    case XccdfResult::notapplicable: return "notapplicable";
    case XccdfResult::notchecked: return "notchecked";
    case XccdfResult::notselected: return "notselected";
    case XccdfResult::informational: return "informational";
    case XccdfResult::fixed: return "fixed";
  }
  return "unknown";
}

std::optional<XccdfResult> xccdf_result_from_text(std::string_view text) {
  for (const XccdfResult result : kXccdfResults)
    if (to_text(result) == text) return result;
  return std::nullopt;
}

}  // namespace gf
