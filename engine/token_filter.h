// What the engine asks of a grammar: which tokens may come next.
#pragma once

#include <cstdint>
#include <span>

namespace gf {

class TokenFilter {
 public:
  virtual ~TokenFilter() = default;
  // Bit i of `bits` (word i / 64, bit i % 64) says that token i may come next; the engine passes
  // zeros, (vocab_size + 63) / 64 words. `tokens_left`: how many tokens may still be written, this
  // one included; the filter steers to a complete text within it.
  virtual void allowed(std::span<uint64_t> bits, int64_t tokens_left) = 0;
  virtual void accept(int32_t token) = 0;
  virtual bool done() const = 0;  // the text is complete: the engine stops
};

}  // namespace gf
