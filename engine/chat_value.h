// JSON as the chat template sees it: members in document order, and numbers with all their digits. The
// nlohmann value keeps neither, and both show up in what the model reads.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gf {

struct ChatValue {
  enum class Kind { null, boolean, number, text, list, object };
  using Member = std::pair<std::string, ChatValue>;

  ChatValue() = default;
  ChatValue(std::string_view value) : kind(Kind::text), text(value) {}
  ChatValue(const char* value) : kind(Kind::text), text(value) {}
  static ChatValue of_boolean(bool value);
  static ChatValue of_list(std::vector<ChatValue> items);
  static ChatValue of_object(std::vector<Member> members);
  // Members come in the order in which that value keeps them.
  static ChatValue from(const nlohmann::json& value);
  // Throws Code::input, naming `what`: not JSON, a key twice, ill-formed UTF-8, deeper than 64 levels.
  static ChatValue parse(std::string_view json, std::string_view what);

  [[nodiscard]] bool is(Kind wanted) const { return kind == wanted; }
  // The member of an object, or null if there is none or this is not an object.
  [[nodiscard]] const ChatValue* find(std::string_view key) const;
  // What a template's `if` says: null, false, zero, and empty texts, lists and objects are not true.
  [[nodiscard]] bool is_true() const;

  Kind kind = Kind::null;
  bool boolean = false;
  std::string text;  // the text; of a number: its digits as Python prints the number
  std::vector<ChatValue> items;
  std::vector<Member> members;
};

}  // namespace gf
