// Special tokens become single bytes that no UTF-8 text can hold; one parser then reads both kinds of input.
#include "engine/tool_call.h"

#include <algorithm>
#include <array>

#include "kernels/base/error.h"
#include "kernels/base/text.h"

namespace gf {
namespace {

using nlohmann::json;

constexpr char kOpenThought = '\xF8', kCloseThought = '\xF9', kOpenCall = '\xFA', kCloseCall = '\xFB', kQuote = '\xFC',
               kEnd = '\xFD', kOther = '\xFE';
constexpr int kMaxDepth = 32;

struct Mark {
  std::string_view text;
  char byte;
};
constexpr std::array<Mark, 9> kMarks = {{{"<|channel>", kOpenThought},
                                         {"<channel|>", kCloseThought},
                                         {"<|tool_call>", kOpenCall},
                                         {"<tool_call|>", kCloseCall},
                                         {"<|\"|>", kQuote},
                                         {"<|tool_response>", kEnd},
                                         {"<turn|>", kEnd},
                                         {"<|turn>", kEnd},
                                         {"<eos>", kEnd}}};

bool is_mark(char c) { return static_cast<unsigned char>(c) >= 0xF8; }

// For a message: marks are shown as what they stand for.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 40)) {
    const auto mark = std::find_if(kMarks.begin(), kMarks.end(), [&](const Mark& m) { return m.byte == c; });
    if (!is_mark(c))
      out += c;
    else
      out += mark == kMarks.end() ? std::string_view("<special token>") : mark->text;
  }
  return text.empty() ? "the end" : "\"" + printable(to_valid_utf8(out)) + "\"";
}

std::string without_marks(std::string_view text) {
  std::string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out), [](char c) { return !is_mark(c); });
  return out;
}

// call:NAME{key:value,...}
class CallReader {
 public:
  explicit CallReader(std::string_view text) : rest_(text) {}

  ToolCall read() {
    skip_space();
    if (!rest_.starts_with("call:")) fail("\"call:\"");
    rest_.remove_prefix(5);
    ToolCall call;
    const size_t brace = rest_.find('{');
    call.name = trimmed(rest_.substr(0, brace));
    if (call.name.empty() || std::any_of(call.name.begin(), call.name.end(), is_mark)) fail("a name and \"{\"");
    if (brace == std::string_view::npos) fail("\"{\" after the name");
    rest_.remove_prefix(brace);
    call.arguments = object(1);
    skip_space();
    if (!rest_.empty()) fail("the end of the call");
    return call;
  }

 private:
  [[noreturn]] void fail(std::string_view expected) const {
    throw Error(Code::input, "expected ", expected, ", found ", shown(rest_));
  }
  void skip_space() {
    while (!rest_.empty() && std::string_view(" \t\r\n").find(rest_.front()) != std::string_view::npos)
      rest_.remove_prefix(1);
  }
  bool take(char c) {
    skip_space();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  json object(int depth) {
    if (depth > kMaxDepth) fail("at most 32 levels");
    json made = json::object();
    if (!take('{')) fail("\"{\"");
    if (take('}')) return made;
    do {
      const std::string key = this->key();
      if (!take(':')) fail("\":\" after the key \"" + printable(shortened(key, 40)) + "\"");
      json member = value(depth + 1);
      if (!made.emplace(key, std::move(member)).second)
        fail("each key once, and \"" + printable(shortened(key, 40)) + "\" came twice before");
    } while (take(','));
    if (!take('}')) fail("\",\" or \"}\"");
    return made;
  }

  json list(int depth) {
    if (depth > kMaxDepth) fail("at most 32 levels");
    json made = json::array();
    take('[');
    if (take(']')) return made;
    do made.push_back(value(depth + 1));
    while (take(','));
    if (!take(']')) fail("\",\" or \"]\"");
    return made;
  }

  std::string key() {
    skip_space();
    if (rest_.empty()) fail("a key");
    if (rest_.front() == kQuote || rest_.front() == '"' || rest_.front() == '\'') return text(":");
    const size_t colon = rest_.find(':');
    const std::string_view name = trimmed(rest_.substr(0, colon));
    const bool bare = !name.empty() && name.find_first_of("{}[],\"'") == std::string_view::npos &&
                      std::none_of(name.begin(), name.end(), is_mark);
    if (colon == std::string_view::npos || !bare) fail("a key and \":\"");
    rest_.remove_prefix(colon);
    return std::string(name);
  }

  json value(int depth) {
    skip_space();
    if (rest_.empty()) fail("a value");
    const char first = rest_.front();
    if (first == '{') return object(depth);
    if (first == '[') return list(depth);
    if (first == kQuote || first == '"' || first == '\'') return text(",}]");
    const size_t end = rest_.find_first_of(",}] \t\r\n");
    const std::string_view word = rest_.substr(0, end);
    json made = json::parse(word.begin(), word.end(), nullptr, false);
    if (made.is_discarded() || made.is_string()) fail("a value");
    rest_.remove_prefix(word.size());
    return made;
  }

  // A text in special quotes goes to the next one. In ordinary quotes it goes to the first such quote that a
  // text may end at (`follows` comes next, or nothing), so that 'it's' is read as meant.
  std::string text(std::string_view follows) {
    const char quote = rest_.front();
    rest_.remove_prefix(1);
    if (quote == kQuote) {
      const size_t end = rest_.find(kQuote);
      if (end == std::string_view::npos) fail("the quote that ends a text");
      std::string made = without_marks(rest_.substr(0, end));
      rest_.remove_prefix(end + 1);
      return made;
    }
    std::string made;
    for (size_t at = 0; at < rest_.size(); ++at) {
      const char c = rest_[at];
      if (c == '\\' && at + 1 < rest_.size() && unescape(rest_[at + 1], made)) {
        ++at;
      } else if (c == quote && ends_text(rest_.substr(at + 1), follows)) {
        rest_.remove_prefix(at + 1);
        return made;
      } else if (!is_mark(c)) {
        made += c;
      }
    }
    fail("the quote that ends a text");
  }

  static bool ends_text(std::string_view after, std::string_view follows) {
    const size_t next = after.find_first_not_of(" \t\r\n");
    return next == std::string_view::npos || follows.find(after[next]) != std::string_view::npos;
  }

  static bool unescape(char c, std::string& out) {
    switch (c) {
      case 'n': out += '\n'; return true;
      case 't': out += '\t'; return true;
      case 'r': out += '\r'; return true;
      case '"':
      case '\'':
      case '\\':
      case '/': out += c; return true;
      default: return false;
    }
  }

  std::string_view rest_;
};

// "thought\nwords\n" -> "words"
std::string thought_of(std::string_view marked) {
  std::string text = without_marks(marked);
  if (text.starts_with("thought\n"))
    text.erase(0, 8);
  else if (text == "thought")
    text.clear();
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

void add_thought(ModelOutput& output, std::string_view marked) {
  const std::string text = thought_of(marked);
  if (!output.thought.empty() && !text.empty()) output.thought += '\n';
  output.thought += text;
}

void add_call(ModelOutput& output, std::string_view marked) {
  try {
    output.calls.push_back(CallReader(marked).read());
  } catch (const Error& error) {
    output.defects.push_back("call " + std::to_string(output.calls.size() + output.defects.size() + 1) + ": " +
                             error.message());
  }
}

ModelOutput parse_marked(std::string_view text) {
  ModelOutput output;
  text = text.substr(0, text.find(kEnd));
  // A thought that the prompt opened has only its end here.
  const size_t close = text.find(kCloseThought);
  if (close != std::string_view::npos && close < text.find(kOpenThought)) {
    add_thought(output, text.substr(0, close));
    text.remove_prefix(close + 1);
  }
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == kOpenThought) {
      const size_t end = text.find(kCloseThought);
      add_thought(output, text.substr(0, end));
      output.thought_is_open = end == std::string_view::npos;
      text.remove_prefix(std::min(text.size(), end == std::string_view::npos ? end : end + 1));
    } else if (c == kOpenCall) {
      size_t end = 0;
      while (end < text.size() && text[end] != kCloseCall && text[end] != kOpenCall) ++end;
      add_call(output, text.substr(0, end));
      text.remove_prefix(end < text.size() && text[end] == kCloseCall ? end + 1 : end);
    } else if (!is_mark(c)) {
      output.answer += c;
    }
  }
  return output;
}

}  // namespace

ModelOutput parse_output(std::span<const int32_t> ids, const Tokenizer& tokenizer) {
  std::string marked;
  Tokenizer::Stream stream(tokenizer);
  for (const int32_t id : ids) {
    if (!tokenizer.is_special(id)) {
      marked += stream.add(id);
      continue;
    }
    marked += stream.finish();
    const std::string_view text = tokenizer.token_bytes(id);
    const auto mark = std::find_if(kMarks.begin(), kMarks.end(), [&](const Mark& m) { return m.text == text; });
    marked += mark == kMarks.end() ? kOther : mark->byte;
  }
  return parse_marked(marked + stream.finish());
}

ModelOutput parse_output_text(std::string_view text) {
  const std::string valid = to_valid_utf8(text);
  std::string marked;
  for (size_t at = 0; at < valid.size();) {
    const auto mark = std::find_if(kMarks.begin(), kMarks.end(), [&](const Mark& m) {
      return std::string_view(valid).substr(at).starts_with(m.text);
    });
    marked += mark == kMarks.end() ? valid[at] : mark->byte;
    at += mark == kMarks.end() ? 1 : mark->text.size();
  }
  return parse_marked(marked);
}

}  // namespace gf
