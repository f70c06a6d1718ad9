// What the model wrote, taken apart: its thoughts, its answer, and its calls of tools.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer.h"

namespace gf {

struct ToolCall {
  std::string name;
  nlohmann::json arguments;  // always an object
};

struct ModelOutput {
  std::string thought;  // without the markers and the word `thought`
  std::string answer;   // everything outside thoughts and calls, up to the end of the turn
  std::vector<ToolCall> calls;
  // One line for each call that could not be read: where it stopped, expected, found.
  std::vector<std::string> defects;
  bool thought_is_open = false;  // the output ended inside a thought
};

// Only special tokens are structure: their text spelled in ordinary tokens stays text. Accepts, besides
// <|"|>x<|"|>, the quotes "x" and 'x' that models write by mistake; also quoted keys and white space.
// Never throws on what a model may write: a call that cannot be read goes to `defects`.
ModelOutput parse_output(std::span<const int32_t> ids, const Tokenizer& tokenizer);
// For text that is known to come from special tokens shown by decode(); every marker counts.
ModelOutput parse_output_text(std::string_view text);

}  // namespace gf
