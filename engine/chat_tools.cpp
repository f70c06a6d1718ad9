// Values, calls, answers and declarations of tools, as the template writes them. Its oddities are kept: the
// model was trained on them.
#include <algorithm>

#include "engine/chat_writer.h"
#include "engine/unicode.h"
#include "kernels/base/error.h"
#include "kernels/base/text.h"

namespace gf {
namespace {

using Kind = ChatValue::Kind;

constexpr std::string_view kQuote = "<|\"|>";

std::string python_repr(const ChatValue& value) {
  if (!value.is(Kind::text)) return python_text(value);
  const bool has_single = value.text.find('\'') != std::string::npos;
  const char quote = has_single && value.text.find('"') == std::string::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : value.text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == quote || c == '\\')
      (out += '\\') += c;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (byte < 0x20 || byte == 0x7F)
      ((out += "\\x") += "0123456789abcdef"[byte >> 4]) += "0123456789abcdef"[byte & 15];
    else
      out += c;
  }
  return out + quote;
}

std::string printed(const ChatValue* value) { return value == nullptr ? std::string() : python_text(*value); }
bool is_true(const ChatValue* value) { return value != nullptr && value->is_true(); }

const ChatValue& need_object(const ChatValue* value, std::string_view what) {
  if (value == nullptr || !value->is(Kind::object)) throw Error(Code::input, "chat: ", what, ": expected an object");
  return *value;
}

// required:["a","b"], without commas around it.
void write_names(ChatWriter& out, const ChatValue& names) {
  out.frame("required:[");
  for (size_t i = 0; i < names.items.size(); ++i) {
    if (i > 0) out.frame(",");
    out.quoted(python_text(names.items[i]));
  }
  out.frame("]");
}

enum class Filter { none, keywords };
void write_properties(ChatWriter& out, const ChatValue& properties, Filter filter);

// items:{...} of an array property: all keys sorted, nulls left out.
void write_items(ChatWriter& out, const ChatValue& items) {
  out.frame("items:{");
  bool first = true;
  for (const auto* member : sorted_members(items)) {
    const auto& [key, value] = *member;
    if (value.is(Kind::null)) continue;
    if (!std::exchange(first, false)) out.frame(",");
    if (key == "properties") {
      out.frame("properties:{");
      if (value.is(Kind::object)) write_properties(out, value, Filter::none);
      out.frame("}");
    } else if (key == "required") {
      write_names(out, value);
    } else if (key == "type") {
      out.frame("type:");
      if (value.is(Kind::text)) {
        out.quoted(unicode_upper(value.text));
      } else {
        std::vector<ChatValue> upper;
        for (const ChatValue& item : value.items) upper.emplace_back(unicode_upper(python_text(item)));
        write_value(out, ChatValue::of_list(std::move(upper)), Keys::quoted);
      }
    } else {
      out.content(key);
      out.frame(":");
      write_value(out, value, Keys::quoted);
    }
  }
  out.frame("}");
}

void write_property(ChatWriter& out, const std::string& key, const ChatValue& value) {
  out.content(key);
  out.frame(":{");
  bool first = true;
  const auto comma = [&] {
    if (!std::exchange(first, false)) out.frame(",");
  };
  const std::string type = unicode_upper(printed(value.find("type")));
  if (const ChatValue* description = value.find("description"); is_true(description)) {
    comma();
    out.frame("description:");
    out.quoted(python_text(*description));
  }
  if (const ChatValue* choices = value.find("enum"); type == "STRING" && is_true(choices)) {
    comma();
    out.frame("enum:");
    write_value(out, *choices, Keys::quoted);
  }
  if (const ChatValue* items = value.find("items"); type == "ARRAY" && is_true(items) && items->is(Kind::object)) {
    comma();
    write_items(out, *items);
  }
  if (is_true(value.find("nullable"))) {
    comma();
    out.frame("nullable:true");
  }
  if (type == "OBJECT") {
    const ChatValue* properties = value.find("properties");
    const bool has_properties = properties != nullptr && properties->is(Kind::object);
    comma();
    out.frame("properties:{");
    // Without properties of its own, the other keywords are taken for properties.
    if (has_properties)
      write_properties(out, *properties, Filter::none);
    else
      write_properties(out, value, Filter::keywords);
    out.frame("}");
    if (const ChatValue* required = value.find("required"); is_true(required)) {
      comma();
      write_names(out, *required);
    }
  }
  comma();
  out.frame("type:");
  out.quoted(type);
  out.frame("}");
}

void write_properties(ChatWriter& out, const ChatValue& properties, Filter filter) {
  constexpr std::string_view keywords[] = {"description", "type", "properties", "required", "nullable"};
  bool first = true;
  for (const auto* member : sorted_members(properties)) {
    if (filter == Filter::keywords &&
        std::find(std::begin(keywords), std::end(keywords), member->first) != std::end(keywords))
      continue;
    if (!std::exchange(first, false)) out.frame(",");
    write_property(out, member->first, member->second);
  }
}

}  // namespace

void ChatWriter::add(std::string_view text, ChatPiece::From from) {
  if (text.empty()) return;
  if (!pieces_.empty() && pieces_.back().from == from)
    pieces_.back().text += text;
  else
    pieces_.push_back({std::string(text), from});
}

void ChatWriter::quoted(std::string_view text) {
  frame(kQuote);
  content(text);
  frame(kQuote);
}

std::vector<const ChatValue::Member*> sorted_members(const ChatValue& object) {
  std::vector<std::pair<std::string, const ChatValue::Member*>> keyed;
  for (const auto& member : object.members) keyed.emplace_back(unicode_lower(member.first), &member);
  std::stable_sort(keyed.begin(), keyed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<const ChatValue::Member*> members;
  for (const auto& [lower, member] : keyed) members.push_back(member);
  return members;
}

std::string python_text(const ChatValue& value) {
  switch (value.kind) {
    case Kind::null: return "None";
    case Kind::boolean: return value.boolean ? "True" : "False";
    case Kind::number:
    case Kind::text: return value.text;
    case Kind::list: {
      std::string out = "[";
      for (const ChatValue& item : value.items) out += (out.size() > 1 ? ", " : "") + python_repr(item);
      return out + "]";
    }
    case Kind::object: {
      std::string out = "{";
      for (const auto& [key, member] : value.members)
        out +=
            (out.size() > 1 ? ", " : "") + python_repr(ChatValue(std::string_view(key))) + ": " + python_repr(member);
      return out + "}";
    }
  }
  return {};
}

void write_value(ChatWriter& out, const ChatValue& value, Keys keys) {
  switch (value.kind) {
    case Kind::null: return out.frame("null");
    case Kind::boolean: return out.frame(value.boolean ? "true" : "false");
    case Kind::number: return out.frame(value.text);
    case Kind::text: return out.quoted(value.text);
    case Kind::list:
      out.frame("[");
      for (size_t i = 0; i < value.items.size(); ++i) {
        if (i > 0) out.frame(",");
        write_value(out, value.items[i], keys);
      }
      return out.frame("]");
    case Kind::object:
      out.frame("{");
      bool first = true;
      for (const auto* member : sorted_members(value)) {
        if (!std::exchange(first, false)) out.frame(",");
        if (keys == Keys::quoted)
          out.quoted(member->first);
        else
          out.content(member->first);
        out.frame(":");
        write_value(out, member->second, keys);
      }
      return out.frame("}");
  }
}

void write_call(ChatWriter& out, const ChatValue& call) {
  const ChatValue& function = need_object(call.find("function"), "tool_calls[].function");
  const ChatValue* name = function.find("name");
  if (name == nullptr || !name->is(Kind::text))
    throw Error(Code::input, "chat: tool_calls[].function.name: expected a text");
  const ChatValue* arguments = function.find("arguments");
  if (arguments == nullptr || !(arguments->is(Kind::object) || arguments->is(Kind::null)))
    throw Error(Code::input, "chat: tool_calls[].function.arguments of \"", printable(shortened(name->text, 80)),
                "\": expected an object");
  out.frame("<|tool_call>call:");
  out.content(name->text);
  if (arguments->is(Kind::null))
    out.frame("{}");
  else
    write_value(out, *arguments, Keys::bare);
  out.frame("<tool_call|>");
}

void write_response(ChatWriter& out, std::string_view name, const ChatValue* response) {
  out.frame("<|tool_response>response:");
  out.content(name);
  if (response != nullptr && response->is(Kind::object)) {
    write_value(out, *response, Keys::bare);
  } else {
    out.frame("{value:");
    write_value(out, response == nullptr ? ChatValue::of_list({}) : *response, Keys::bare);
    out.frame("}");
  }
  out.frame("<tool_response|>");
}

void write_declaration(ChatWriter& out, const ChatValue& tool) {
  const ChatValue& function = need_object(tool.find("function"), "tools[].function");
  out.frame("<|tool>declaration:");
  out.content(printed(function.find("name")));
  out.frame("{description:");
  out.quoted(printed(function.find("description")));
  if (const ChatValue* parameters = function.find("parameters"); is_true(parameters)) {
    out.frame(",parameters:{");
    if (const ChatValue* properties = parameters->find("properties"); is_true(properties)) {
      out.frame("properties:{");
      write_properties(out, need_object(properties, "tools[].function.parameters.properties"), Filter::none);
      out.frame("},");
    }
    if (const ChatValue* required = parameters->find("required"); is_true(required)) {
      write_names(out, *required);
      out.frame(",");
    }
    // The closing brace belongs to the type: without one it is missing.
    if (const ChatValue* type = parameters->find("type"); is_true(type)) {
      out.frame("type:");
      out.quoted(unicode_upper(python_text(*type)));
      out.frame("}");
    }
  }
  if (const ChatValue* response = function.find("response"); response != nullptr) {
    out.frame(",response:{");
    if (const ChatValue* description = response->find("description"); is_true(description)) {
      out.frame("description:");
      out.quoted(python_text(*description));
      out.frame(",");
    }
    // The same here, and for objects only.
    if (unicode_upper(printed(response->find("type"))) == "OBJECT") {
      out.frame("type:");
      out.quoted("OBJECT");
      out.frame("}");
    }
  }
  out.frame("}<tool|>");
}

}  // namespace gf
