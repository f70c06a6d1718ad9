// Conversations as Gemma 4 reads them: its canonical chat template (2026-07-09), byte for byte, and the only
// way from a conversation to token ids.
//
// Rendering gives pieces, and each piece knows whose words it holds. Special tokens are looked for in the
// frame alone, so no text of a rule, a tool or an earlier answer can open a turn or close one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/chat_value.h"
#include "engine/tokenizer.h"

namespace gf {

enum class Thinking { off, on };
// The template of 12B, 26B-A4B and 31B, or the one of E2B and E4B (no empty thought in the prompt).
enum class ChatFamily { large, small };

struct ChatRequest {
  std::vector<ChatValue> messages;  // objects with role, content, tool_calls, tool_responses, reasoning ...
  std::vector<ChatValue> tools;     // objects with type and function
  Thinking thinking = Thinking::off;
  bool preserve_thinking = false;       // keep thoughts of messages with calls from before the last user message
  bool add_generation_prompt = true;    // end where the model starts to write
  bool continue_final_message = false;  // end inside the last message; without the generation prompt
  ChatFamily family = ChatFamily::large;
};

// One message of text alone: {"role": role, "content": content}.
ChatValue chat_message(std::string_view role, std::string_view content);

struct ChatPiece {
  enum class From { frame, content };
  std::string text;
  From from;
};

// Throws Code::input for a conversation that the template refuses.
std::vector<ChatPiece> render_chat(const ChatRequest& request);
// All pieces joined, for people and for tests; never encode this.
std::string chat_text(const std::vector<ChatPiece>& pieces);
// The ids of the pieces: special tokens from the frame only. Where no content holds the text of a special
// token the ids equal those of the joined text. Throws Code::input when the tokenizer lacks a special token
// of the frame.
std::vector<int32_t> encode_pieces(const std::vector<ChatPiece>& pieces, const Tokenizer& tokenizer);
std::vector<int32_t> encode_chat(const ChatRequest& request, const Tokenizer& tokenizer);

}  // namespace gf
