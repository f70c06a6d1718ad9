// What one script may use.
#pragma once

#include <cstdint>

namespace gf {

struct ScriptLimits {
  int seconds = 60;                    // wall clock; the trial keeper kills the whole pid namespace
  uint64_t output_bytes = 256u << 10;  // of stdout and stderr together; the keeper drops the rest
  uint64_t memory_bytes = 2ull << 30;  // address space of each process (RLIMIT_AS)
  uint64_t file_bytes = 1ull << 30;    // largest file that may be written (RLIMIT_FSIZE)
  int processes = 256;                 // RLIMIT_NPROC; see sandbox.h about root
  bool operator==(const ScriptLimits&) const = default;
};

// The smaller of each.
ScriptLimits narrowest(const ScriptLimits& a, const ScriptLimits& b);

}  // namespace gf
