// Parts of the chat template that chat.cpp puts together: values, calls, answers and declarations of tools.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/chat.h"

namespace gf {

// Collects pieces; neighbours of one origin become one piece.
class ChatWriter {
 public:
  void frame(std::string_view text) { add(text, ChatPiece::From::frame); }
  void content(std::string_view text) { add(text, ChatPiece::From::content); }
  // <|"|>text<|"|>
  void quoted(std::string_view text);
  [[nodiscard]] std::vector<ChatPiece> take() { return std::move(pieces_); }

 private:
  void add(std::string_view text, ChatPiece::From from);
  std::vector<ChatPiece> pieces_;
};

// Members in the order of their keys' lower-case form; equal ones stay in document order.
std::vector<const ChatValue::Member*> sorted_members(const ChatValue& object);
// What str() of Python makes of a value; the template prints some values so.
std::string python_text(const ChatValue& value);

enum class Keys { bare, quoted };
void write_value(ChatWriter& out, const ChatValue& value, Keys keys);
// <|tool_call>call:NAME{k:v}<tool_call|>. Throws Code::input for arguments that are not an object or null.
void write_call(ChatWriter& out, const ChatValue& call);
// <|tool_response>response:NAME{...}<tool_response|>; no response at all is an empty list.
void write_response(ChatWriter& out, std::string_view name, const ChatValue* response);
// <|tool>declaration:NAME{...}<tool|>
void write_declaration(ChatWriter& out, const ChatValue& tool);

}  // namespace gf
