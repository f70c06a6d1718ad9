#include "engine/chat_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/base/error.h"
#include "kernels/base/text.h"

namespace gf {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 64;

// The shortest digits that read back as the same number, written as Python's repr does: plain from 1e-4 up to
// 1e16, otherwise with an exponent of at least two digits; always with a point or an exponent.
std::string python_float(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t mark = text.find('e');
  int exponent = 0;
  const std::string_view power = text.substr(mark + 1);
  std::from_chars(power.data() + (power[0] == '+' ? 1 : 0), power.data() + power.size(), exponent);
  const std::string sign = text[0] == '-' ? "-" : "";
  std::string digits;
  for (const char c : text.substr(0, mark))
    if (c >= '0' && c <= '9') digits += c;

  if (exponent < -4 || exponent >= 16) {
    const std::string fraction = digits.size() > 1 ? "." + digits.substr(1) : "";
    const std::string size = std::to_string(std::abs(exponent));
    return sign + digits[0] + fraction + "e" + (exponent < 0 ? "-" : "+") + (size.size() < 2 ? "0" : "") + size;
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

ChatValue of_number(std::string text) {
  ChatValue value;
  value.kind = ChatValue::Kind::number;
  value.text = std::move(text);
  return value;
}

// An integer that does not fit 64 bits arrives as a float, with its text.
ChatValue of_number(double value, const std::string& text) {
  return of_number(text.find_first_of(".eE") == std::string::npos ? text : python_float(value));
}

class Builder : public nlohmann::json_sax<json> {
 public:
  explicit Builder(std::string_view what) : what_(what) {}
  bool null() override { return add({}); }
  bool boolean(bool value) override { return add(ChatValue::of_boolean(value)); }
  bool number_integer(number_integer_t value) override { return add(of_number(std::to_string(value))); }
  bool number_unsigned(number_unsigned_t value) override { return add(of_number(std::to_string(value))); }
  bool number_float(number_float_t value, const string_t& text) override { return add(of_number(value, text)); }
  bool string(string_t& value) override { return add(ChatValue(std::string_view(value))); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override {
    names_.emplace_back();
    return open(ChatValue::of_object({}));
  }
  bool end_object() override {
    names_.pop_back();
    return close();
  }
  bool start_array(std::size_t) override { return open(ChatValue::of_list({})); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (!names_.back().insert(name).second)
      throw Error(Code::input, what_, ": duplicate key \"", printable(shortened(name, 80)), "\"");
    open_.back()->members.emplace_back(std::move(name), ChatValue());
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    throw Error(Code::input, what_, ": not valid JSON at byte ", position, ": ",
                printable(shortened(error.what(), 200)));
  }
  ChatValue take() { return std::move(root_); }

 private:
  ChatValue* place(ChatValue&& value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    ChatValue& parent = *open_.back();
    ChatValue& slot = parent.is(ChatValue::Kind::list) ? parent.items.emplace_back() : parent.members.back().second;
    slot = std::move(value);
    return &slot;
  }
  bool add(ChatValue&& value) {
    place(std::move(value));
    return true;
  }
  bool open(ChatValue&& value) {
    if (open_.size() >= kMaxDepth) throw Error(Code::input, what_, ": nested deeper than ", kMaxDepth, " levels");
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view what_;
  ChatValue root_;
  std::vector<ChatValue*> open_;
  std::vector<std::set<std::string>> names_;
};

}  // namespace

ChatValue ChatValue::of_boolean(bool value) {
  ChatValue made;
  made.kind = Kind::boolean;
  made.boolean = value;
  return made;
}

ChatValue ChatValue::of_list(std::vector<ChatValue> items) {
  ChatValue made;
  made.kind = Kind::list;
  made.items = std::move(items);
  return made;
}

ChatValue ChatValue::of_object(std::vector<Member> members) {
  ChatValue made;
  made.kind = Kind::object;
  made.members = std::move(members);
  return made;
}

ChatValue ChatValue::from(const json& value) {
  switch (value.type()) {
    case json::value_t::boolean: return of_boolean(value.get<bool>());
    case json::value_t::number_integer: return of_number(std::to_string(value.get<int64_t>()));
    case json::value_t::number_unsigned: return of_number(std::to_string(value.get<uint64_t>()));
    case json::value_t::number_float: return of_number(python_float(value.get<double>()));
    case json::value_t::string: return ChatValue(std::string_view(value.get_ref<const std::string&>()));
    case json::value_t::array: {
      ChatValue list = of_list({});
      for (const json& item : value) list.items.push_back(from(item));
      return list;
    }
    case json::value_t::object: {
      ChatValue object = of_object({});
      for (const auto& [key, member] : value.items()) object.members.emplace_back(key, from(member));
      return object;
    }
    default: return {};
  }
}

ChatValue ChatValue::parse(std::string_view text, std::string_view what) {
  Builder builder(what);
  json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

const ChatValue* ChatValue::find(std::string_view key) const {
  const auto found =
      std::find_if(members.begin(), members.end(), [&](const Member& member) { return member.first == key; });
  return found == members.end() ? nullptr : &found->second;
}

bool ChatValue::is_true() const {
  switch (kind) {
    case Kind::null: return false;
    case Kind::boolean: return boolean;
    case Kind::number: return text.find_first_of("123456789in") != std::string::npos;
    case Kind::text: return !text.empty();
    case Kind::list: return !items.empty();
    case Kind::object: return !members.empty();
  }
  return false;
}

}  // namespace gf
