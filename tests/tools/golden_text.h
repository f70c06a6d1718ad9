// The tokenizer and chat cases of a golden folder, held to the engine.
#pragma once

#include <filesystem>

namespace gf {

// tokenizer.json, cases.jsonl and decode_cases.jsonl. Prints the first case that differs and returns 1, or
// prints how many were equal and returns 0.
int check_tokenizer_golden(const std::filesystem::path& dir);
// cases.jsonl of conversations.
int check_chat_golden(const std::filesystem::path& dir);

}  // namespace gf
