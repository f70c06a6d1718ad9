#include "engine/sampler.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/error.h"

namespace gf {
namespace {

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
uint64_t mixed(uint64_t z) {
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

bool is_allowed(std::span<const uint64_t> allowed, size_t token) {
  return allowed.empty() || ((allowed[token / 64] >> (token % 64)) & 1U) != 0;
}

}  // namespace

double uniform_draw(uint64_t seed, uint64_t index) {
  const uint64_t bits = mixed(mixed(seed + 0x9E3779B97F4A7C15U) ^ (index + 1) * 0x9E3779B97F4A7C15U);
  return static_cast<double>(bits >> 11U) * 0x1.0p-53;
}

// The `limit` best allowed tokens, in order: a heap whose top is the worst of those kept.
void Sampler::collect(std::span<const float> logits, std::span<const uint64_t> allowed, size_t limit) {
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
  };
  best_.clear();
  for (size_t token = 0; token < logits.size(); ++token) {
    const float logit = logits[token];
    // NaN and minus infinity are never candidates.
    if (!(logit > -INFINITY) || !is_allowed(allowed, token)) continue;
    if (best_.size() == limit) {
      if (!(logit > best_.front().logit)) continue;
      std::pop_heap(best_.begin(), best_.end(), better);
      best_.pop_back();
    }
    best_.push_back({logit, static_cast<int32_t>(token)});
    std::push_heap(best_.begin(), best_.end(), better);
  }
  std::sort_heap(best_.begin(), best_.end(), better);
}

int32_t Sampler::sample(std::span<const float> logits, std::span<const uint64_t> allowed, const Sampling& how,
                        uint64_t index) {
  const bool greedy = !(how.temperature > 0) || how.top_k == 1;
  const size_t limit = greedy ? 1 : how.top_k > 0 ? static_cast<size_t>(how.top_k) : logits.size();
  collect(logits, allowed, limit);
  if (best_.empty()) throw Error(Code::internal, "no token may come next, or every logit is not a number");
  if (greedy) return best_[0].token;

  weights_.clear();
  double sum = 0;
  for (const Candidate& candidate : best_) {
    weights_.push_back(
        std::exp((static_cast<double>(candidate.logit) - static_cast<double>(best_[0].logit)) / how.temperature));
    sum += weights_.back();
  }
  // The smallest set of best tokens whose probability reaches top_p.
  double kept = 0;
  size_t count = 0;
  while (count < weights_.size() && (count == 0 || kept < how.top_p * sum)) kept += weights_[count++];
  double left = uniform_draw(how.seed, index) * kept;
  for (size_t i = 0; i + 1 < count; ++i) {
    left -= weights_[i];
    if (left < 0) return best_[i].token;
  }
  return best_[count - 1].token;
}

}  // namespace gf
