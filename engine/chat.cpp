// The turns of a conversation, and their way into token ids.
#include "engine/chat.h"

#include "engine/chat_writer.h"
#include "engine/unicode.h"
#include "kernels/base/error.h"

namespace gf {
namespace {

using Kind = ChatValue::Kind;

const std::string& role_of(const ChatValue& message) {
  const ChatValue* role = message.find("role");
  if (role == nullptr || !role->is(Kind::text)) throw Error(Code::input, "chat: a message without a role");
  return role->text;
}

bool is_true(const ChatValue* value) { return value != nullptr && value->is_true(); }

// Parts of a content that is a list; none for anything that is no text and no list.
const std::vector<ChatValue>& parts_of(const ChatValue& content) {
  const bool bad_object = content.is(Kind::object) && !content.members.empty();
  for (const ChatValue& part : content.items)
    if (!part.is(Kind::object)) throw Error(Code::input, "chat: content: expected a list of objects");
  if (bad_object) throw Error(Code::input, "chat: content: expected a text or a list of parts, found an object");
  return content.items;
}

std::string_view media_token(const ChatValue& part) {
  const ChatValue* type = part.find("type");
  if (type == nullptr || !type->is(Kind::text)) return {};
  if (type->text == "image" || type->text == "image_url") return "<|image|>";
  if (type->text == "audio" || type->text == "input_audio") return "<|audio|>";
  if (type->text == "video") return "<|video|>";
  return {};
}

bool is_text_part(const ChatValue& part) {
  const ChatValue* type = part.find("type");
  return type != nullptr && type->is(Kind::text) && type->text == "text";
}

// The model's own words without its thoughts: of each stretch that ends at `<channel|>`, what comes before its
// first `<|channel>`.
std::string without_thoughts(std::string_view text) {
  constexpr std::string_view open = "<|channel>", close = "<channel|>";
  std::string kept;
  for (;;) {
    const size_t end = text.find(close);
    const std::string_view stretch = text.substr(0, end);
    kept += stretch.substr(0, stretch.find(open));
    if (end == std::string_view::npos) return std::string(unicode_stripped(kept));
    text.remove_prefix(end + close.size());
  }
}

std::string text_of(const ChatValue* text, bool is_model) {
  if (!is_model) return text == nullptr ? std::string() : std::string(unicode_stripped(python_text(*text)));
  if (text == nullptr || !text->is(Kind::text)) throw Error(Code::input, "chat: a part of type text without a text");
  return without_thoughts(text->text);
}

class Renderer {
 public:
  explicit Renderer(const ChatRequest& request) : request_(request), messages_(request.messages) {}

  std::vector<ChatPiece> render() {
    out_.frame("<bos>");
    size_t first = 0;
    if (!messages_.empty()) {
      const std::string& role = role_of(messages_[0]);
      first = role == "system" || role == "developer" ? 1 : 0;
    }
    if (first == 1 || request_.thinking == Thinking::on || !request_.tools.empty()) system_turn(first == 1);
    begin_ = first;
    for (size_t i = first; i < messages_.size(); ++i)
      if (role_of(messages_[i]) == "user") last_user_ = static_cast<int64_t>(i);
    for (size_t i = first; i < messages_.size(); ++i)
      if (role_of(messages_[i]) != "tool") message_turn(i);
    if (request_.add_generation_prompt) generation_prompt();
    return out_.take();
  }

 private:
  // How the last message that is not a tool's ended.
  enum class Ended { plain, open_call, answered };

  void system_turn(bool has_message) {
    out_.frame("<|turn>system\n");
    if (request_.thinking == Thinking::on) out_.frame("<|think|>\n");
    const ChatValue* content = has_message ? messages_[0].find("content") : nullptr;
    if (content != nullptr && content->is(Kind::text)) {
      out_.content(unicode_stripped(content->text));
    } else if (content != nullptr) {
      for (const ChatValue& part : parts_of(*content)) {
        out_.content(text_of(part.find("text"), false));
        out_.frame(" ");
      }
    }
    for (const ChatValue& tool : request_.tools) write_declaration(out_, tool);
    out_.frame("<turn|>\n");
  }

  // The role of the next message in that direction that is not a tool's; empty if there is none.
  std::string role_before(size_t index) const {
    while (index-- > begin_)
      if (role_of(messages_[index]) != "tool") return role_of(messages_[index]);
    return {};
  }
  std::string role_after(size_t index) const {
    while (++index < messages_.size())
      if (role_of(messages_[index]) != "tool") return role_of(messages_[index]);
    return {};
  }

  void message_turn(size_t index) {
    const ChatValue& message = messages_[index];
    const std::string& role = role_of(message);
    const bool is_model = role == "assistant" || role == "model";
    if (!(is_model && role_before(index) == "assistant")) {
      out_.frame("<|turn>");
      if (is_model)
        out_.frame("model");
      else
        out_.content(role);
      out_.frame("\n");
    }
    thought(message, index);
    const ChatValue* calls = message.find("tool_calls");
    if (is_true(calls)) {
      if (!calls->is(Kind::list)) throw Error(Code::input, "chat: tool_calls: expected a list");
      for (const ChatValue& call : calls->items) write_call(out_, call);
    }
    const bool answered = answers(message, index);
    const bool has_content = content(message, is_model);

    ended_ = answered ? Ended::answered : is_true(calls) ? Ended::open_call : Ended::plain;
    if (ended_ == Ended::open_call) return out_.frame("<|tool_response>");
    const std::string next = role_after(index);
    if (answered && !has_content && next.empty()) return;
    if (is_model && next == "assistant") return;
    out_.frame("<turn|>\n");
  }

  void thought(const ChatValue& message, size_t index) {
    const ChatValue* text = message.find("reasoning");
    if (!is_true(text)) text = message.find("reasoning_content");
    if (!is_true(text)) return;
    const bool kept =
        static_cast<int64_t>(index) > last_user_ || (request_.preserve_thinking && is_true(message.find("tool_calls")));
    if (!kept) return;
    if (!text->is(Kind::text)) throw Error(Code::input, "chat: reasoning: expected a text");
    out_.frame("<|channel>thought\n");
    out_.content(text->text);
    out_.frame("\n<channel|>");
  }

  // The message's own answers, or the tool messages that follow its calls. True if there was one.
  bool answers(const ChatValue& message, size_t index) {
    if (const ChatValue* own = message.find("tool_responses"); is_true(own)) {
      if (!own->is(Kind::list)) throw Error(Code::input, "chat: tool_responses: expected a list");
      for (const ChatValue& answer : own->items) write_response(out_, name_of(answer), answer.find("response"));
      return true;
    }
    const ChatValue* calls = message.find("tool_calls");
    if (!is_true(calls)) return false;
    bool any = false;
    for (size_t i = index + 1; i < messages_.size() && role_of(messages_[i]) == "tool"; ++i) {
      tool_message(messages_[i], *calls);
      any = true;
    }
    return any;
  }

  static std::string name_of(const ChatValue& answer) {
    const ChatValue* name = answer.find("name");
    if (!is_true(name)) return "unknown";
    if (!name->is(Kind::text)) throw Error(Code::input, "chat: name of a tool's answer: expected a text");
    return name->text;
  }

  void tool_message(const ChatValue& answer, const ChatValue& calls) {
    const auto same_id = [](const ChatValue* a, const ChatValue* b) {
      const ChatValue none;
      const ChatValue &left = a != nullptr ? *a : none, &right = b != nullptr ? *b : none;
      return left.kind == right.kind && left.text == right.text && left.boolean == right.boolean;
    };
    std::string name = name_of(answer);
    for (const ChatValue& call : calls.items)
      if (same_id(call.find("id"), answer.find("tool_call_id"))) name = call.find("function")->find("name")->text;

    const ChatValue* content = answer.find("content");
    const bool is_list = content != nullptr && (content->is(Kind::list) || content->is(Kind::object));
    if (!is_list) {
      const ChatValue nothing;
      return write_response(out_, name, content != nullptr ? content : &nothing);
    }
    std::string text;
    for (const ChatValue& part : parts_of(*content)) {
      if (!is_text_part(part)) continue;
      const ChatValue* piece = part.find("text");
      if (piece != nullptr && !piece->is(Kind::text))
        throw Error(Code::input, "chat: a tool's answer: expected a text in a part of type text");
      if (piece != nullptr) text += piece->text;
    }
    const ChatValue joined{std::string_view(text)};
    write_response(out_, name, &joined);
    for (const ChatValue& part : content->items) out_.frame(media_token(part));
  }

  // True if anything but white space was written.
  bool content(const ChatValue& message, bool is_model) {
    const ChatValue* content = message.find("content");
    if (content == nullptr) return false;
    if (content->is(Kind::text)) {
      const std::string text = text_of(content, is_model);
      out_.content(text);
      return !text.empty();
    }
    bool any = false;
    for (const ChatValue& part : parts_of(*content)) {
      const std::string text = is_text_part(part) ? text_of(part.find("text"), is_model) : std::string();
      const std::string_view media = media_token(part);
      out_.content(text);
      out_.frame(media);
      any = any || !text.empty() || !media.empty();
    }
    return any;
  }

  void generation_prompt() {
    const bool thinking = request_.thinking == Thinking::on;
    if (ended_ == Ended::open_call) return;
    if (ended_ == Ended::answered) {
      if (thinking) out_.frame("<|channel>thought\n");
      return;
    }
    out_.frame("<|turn>model\n");
    if (!thinking && request_.family == ChatFamily::large) out_.frame("<|channel>thought\n<channel|>");
  }

  const ChatRequest& request_;
  const std::vector<ChatValue>& messages_;
  ChatWriter out_;
  size_t begin_ = 0;
  int64_t last_user_ = -1;
  Ended ended_ = Ended::plain;
};

// The text that a prefill must end with: the last message's, or that of its last part with a text.
std::string_view final_text(const ChatRequest& request) {
  const ChatValue* content = request.messages.empty() ? nullptr : request.messages.back().find("content");
  if (content != nullptr && content->is(Kind::list)) {
    const auto& parts = content->items;
    for (auto part = parts.rbegin(); part != parts.rend(); ++part)
      if (const ChatValue* text = part->find("text"); text != nullptr && text->is(Kind::text))
        return unicode_stripped(text->text);
    content = nullptr;
  }
  if (content == nullptr || !content->is(Kind::text))
    throw Error(Code::input, "chat: continue_final_message: the last message has no text to continue");
  return unicode_stripped(content->text);
}

std::vector<ChatPiece> cut_after(std::vector<ChatPiece> pieces, std::string_view text) {
  const size_t found = chat_text(pieces).rfind(text);
  if (found == std::string::npos)
    throw Error(Code::input, "chat: continue_final_message: the template leaves out the last message's text");
  size_t left = found + text.size();
  std::vector<ChatPiece> kept;
  for (ChatPiece& piece : pieces) {
    if (left == 0) break;
    piece.text.resize(std::min(left, piece.text.size()));
    left -= piece.text.size();
    kept.push_back(std::move(piece));
  }
  return kept;
}

}  // namespace

ChatValue chat_message(std::string_view role, std::string_view content) {
  return ChatValue::of_object({{"role", ChatValue(role)}, {"content", ChatValue(content)}});
}

std::vector<ChatPiece> render_chat(const ChatRequest& request) {
  if (!request.continue_final_message) return Renderer(request).render();
  if (request.add_generation_prompt)
    throw Error(Code::input, "chat: continue_final_message and add_generation_prompt exclude each other");
  return cut_after(Renderer(request).render(), final_text(request));
}

std::string chat_text(const std::vector<ChatPiece>& pieces) {
  std::string text;
  for (const ChatPiece& piece : pieces) text += piece.text;
  return text;
}

std::vector<int32_t> encode_pieces(const std::vector<ChatPiece>& pieces, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  // What stands between two special tokens is one unit: merges cross from frame to content, as they do when
  // the whole text is encoded.
  std::string unit;
  const auto flush = [&] {
    const std::vector<int32_t> part = tokenizer.encode(unit, Special::plain);
    ids.insert(ids.end(), part.begin(), part.end());
    unit.clear();
  };
  for (const ChatPiece& piece : pieces) {
    if (piece.from == ChatPiece::From::content) {
      unit += piece.text;
      continue;
    }
    for (const Tokenizer::Cut& cut : tokenizer.cut_at_specials(piece.text)) {
      unit += cut.text;
      if (cut.id < 0) continue;
      flush();
      ids.push_back(cut.id);
    }
  }
  flush();
  return ids;
}

std::vector<int32_t> encode_chat(const ChatRequest& request, const Tokenizer& tokenizer) {
  for (const std::string_view needed : {"<bos>", "<|turn>", "<turn|>"})
    static_cast<void>(tokenizer.need_special_id(needed));
  return encode_pieces(render_chat(request), tokenizer);
}

}  // namespace gf
