// The next token from a row of logits: greedy, or drawn by temperature, top-k and top-p.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/engine.h"

namespace gf {

// One per thread (it keeps its scratch memory).
class Sampler {
 public:
  // `allowed`: bit i of word i / 64 for token i; empty: all may come. `index`: how many tokens were drawn for
  // this request before; with the seed it fixes the draw. Ties go to the lower token.
  // Code::internal when no token is allowed or every allowed logit is NaN or minus infinity.
  int32_t sample(std::span<const float> logits, std::span<const uint64_t> allowed, const Sampling& how, uint64_t index);

 private:
  struct Candidate {
    float logit;
    int32_t token;
  };
  void collect(std::span<const float> logits, std::span<const uint64_t> allowed, size_t limit);
  std::vector<Candidate> best_;  // sorted, best first
  std::vector<double> weights_;
};

// In [0, 1), the same on every machine.
double uniform_draw(uint64_t seed, uint64_t index);

}  // namespace gf
