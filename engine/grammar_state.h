// Where a text stands in its form, byte by byte: a stack of values that are open. Internal to the grammar.
//
// cost() is a promise: that many tokens complete the text, whatever comes after. It is exact for keys and
// punctuation, one token a code point for strings still too short, one a digit for numbers. From any state some
// token leads to a state that costs less, so a filter that allows only what the remaining tokens can pay for
// always reaches the end.
#pragma once

#include <array>
#include <cstdint>

#include "engine/json_schema.h"

namespace gf {

class GrammarState {
 public:
  GrammarState() = default;
  explicit GrammarState(const SchemaForm& root) { push(root); }
  GrammarState(const GrammarState& other) { *this = other; }
  GrammarState& operator=(const GrammarState& other) {
    depth_ = other.depth_;
    for (int32_t i = 0; i < depth_; ++i) open_[static_cast<size_t>(i)] = other.open_[static_cast<size_t>(i)];
    return *this;
  }

  // False, and the state is of no use any more, if the byte cannot come here.
  bool step(uint8_t byte);
  [[nodiscard]] bool is_complete() const { return depth_ == 0; }
  [[nodiscard]] int64_t cost() const;

  // Inside a string and between two code points: how many more may come, how many must; otherwise -1.
  [[nodiscard]] int64_t string_room() const;
  [[nodiscard]] int64_t string_need() const;
  // Both inside one string of the form; how much of it is written does not matter.
  [[nodiscard]] bool is_in_same_string(const GrammarState& other) const;

 private:
  // One value that is open. `at`: a node of the literal tree, or a phase of its kind.
  struct Open {
    const SchemaForm* form;
    int32_t at;
    int32_t index;   // object: which tree of `before`; array: items begun; number: digits of this part
    uint64_t value;  // string: code points so far; integer: its digits so far
    uint32_t extra;  // string: the escape's digits so far, or what the next byte must be within; integer: sign
  };
  enum class Took { yes, no, ended };  // ended: the value is complete without this byte

  void push(const SchemaForm& form) { open_[static_cast<size_t>(depth_++)] = {&form, 0, 0, 0, 0}; }
  [[nodiscard]] Open& top() { return open_[static_cast<size_t>(depth_) - 1]; }
  [[nodiscard]] const Open& top() const { return open_[static_cast<size_t>(depth_) - 1]; }
  Took take(uint8_t byte);
  Took take_literal(Open& open, uint8_t byte);
  Took take_string(Open& open, uint8_t byte);
  Took take_in_string(Open& open, uint8_t byte);
  Took take_integer(Open& open, uint8_t byte);
  Took take_number(Open& open, uint8_t byte);
  Took take_object(Open& open, uint8_t byte);
  Took take_array(Open& open, uint8_t byte);
  static int64_t cost_of(const Open& open);

  int32_t depth_ = 0;
  std::array<Open, kMaxSchemaDepth> open_;  // the first depth_ are in use
};

}  // namespace gf
