// What the sampler asks before it picks a token, and tells after it.
#pragma once

#include <cstdint>
#include <span>

namespace gf {

class TokenFilter {
 public:
  virtual ~TokenFilter() = default;
  // Bit i of allowed says token i may come next. `tokens_left`: how many tokens may still be written, this one
  // included; the filter steers to a complete text within it.
  virtual void allowed(std::span<uint64_t> bits, int64_t tokens_left) = 0;
  virtual void accept(int32_t token) = 0;
  virtual bool done() const = 0;
};

}  // namespace gf
