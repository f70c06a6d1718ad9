// Ops on the CPU: float32 activations, bf16 weights and cache, float32 sums, SIMD chosen at run time.
// Environment: GF_CPU_TARGET=EMU128|SSE4|AVX2|AVX3|... forces a lower instruction set than the CPU has
// (for tests and support); Code::usage if this CPU does not have it or this build does not.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/ops.h"

namespace gf {

std::unique_ptr<Ops> make_cpu_ops(int threads);
// The same with a given instruction set, whatever the environment says.
std::unique_ptr<Ops> make_cpu_ops(int threads, const std::string& target);
// Those that this CPU and this build have, best first.
std::vector<std::string> cpu_targets();

}  // namespace gf
