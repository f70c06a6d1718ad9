// The words for origins and modes, and the narrowest of two limits.
#include "policy/origin.h"

#include <algorithm>

#include "policy/script_limits.h"

namespace gf {

std::string_view origin_name(Origin origin) { return origin == Origin::vetted ? "vetted" : "model"; }

std::string_view mode_name(Mode mode) {
  switch (mode) {
    case Mode::scan: return "scan";
    case Mode::trial: return "trial";
    case Mode::apply: return "apply";
  }
  return "unknown";
}

ScriptLimits narrowest(const ScriptLimits& a, const ScriptLimits& b) {
  return {.seconds = std::min(a.seconds, b.seconds),
          .output_bytes = std::min(a.output_bytes, b.output_bytes),
          .memory_bytes = std::min(a.memory_bytes, b.memory_bytes),
          .file_bytes = std::min(a.file_bytes, b.file_bytes),
          .processes = std::min(a.processes, b.processes)};
}

}  // namespace gf
