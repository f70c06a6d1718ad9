#include "engine/repetition.h"

#include <algorithm>

#include "kernels/base/error.h"

namespace gf {

RepetitionDetector::RepetitionDetector() : RepetitionDetector(Limits()) {}

RepetitionDetector::RepetitionDetector(Limits limits) : limits_(limits) {
  if (limits.longest_block < 1 || limits.least_repeats < 2 || limits.least_tokens < 1)
    throw Error(Code::internal, "limits of the repetition detector: longest_block ", limits.longest_block,
                ", least_repeats ", limits.least_repeats, ", least_tokens ", limits.least_tokens);
  reset();
}

void RepetitionDetector::reset() {
  recent_.assign(static_cast<size_t>(limits_.longest_block), -1);
  matches_.assign(static_cast<size_t>(limits_.longest_block), 0);
  count_ = 0;
  block_ = 0;
}

bool RepetitionDetector::add(int32_t id) {
  const auto size = static_cast<int64_t>(recent_.size());
  block_ = 0;
  for (int64_t block = std::min(size, count_); block >= 1; --block) {
    int64_t& matches = matches_[static_cast<size_t>(block - 1)];
    matches = recent_[static_cast<size_t>((count_ - block) % size)] == id ? matches + 1 : 0;
    // The first time a block is written, nothing equals what came before it.
    const int64_t written = matches + block;
    if (written >= block * limits_.least_repeats && written >= limits_.least_tokens)
      block_ = static_cast<int32_t>(block);
  }
  recent_[static_cast<size_t>(count_ % size)] = id;
  ++count_;
  return block_ > 0;
}

}  // namespace gf
