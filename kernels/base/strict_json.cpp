// Strict parsing on top of nlohmann/json's SAX interface, which sees every key before it is merged.
#include "kernels/base/strict_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/base/error.h"
#include "kernels/base/text.h"

namespace gf {
namespace {

using nlohmann::json;

// Builds the value; stops with an Error at the first thing that we do not accept.
class Builder : public nlohmann::json_sax<json> {
 public:
  Builder(std::string_view what, JsonLimits limits) : what_(what), limits_(limits) {}

  bool null() override { return add(json()); }
  bool boolean(bool value) override { return add(json(value)); }
  bool number_integer(number_integer_t value) override { return add(json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return add(json(value)); }
  bool number_float(number_float_t value, const string_t& text) override {
    if (!limits_.floats_allowed)
      throw Error(Code::input, what_, ": floating point numbers are not allowed, found ", shortened(text, 40));
    return add(json(value));
  }
  bool string(string_t& value) override { return add(json(std::move(value))); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (stack_.back()->contains(name))
      throw Error(Code::input, what_, ": duplicate key \"", printable(shortened(name, 80)), "\"");
    key_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    std::string reason = error.what();
    const size_t colon = reason.find(": ");
    if (colon != std::string::npos) reason = reason.substr(colon + 2);
    throw Error(Code::input, what_, ": not valid JSON at byte ", position, ": ", printable(shortened(reason, 200)));
  }

  json take() { return std::move(root_); }

 private:
  json* place(json&& value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    json& member = parent[key_];
    member = std::move(value);
    return &member;
  }
  bool add(json&& value) {
    place(std::move(value));
    return true;
  }
  bool open(json&& container) {
    if (stack_.size() >= limits_.depth)
      throw Error(Code::input, what_, ": nested deeper than ", limits_.depth, " levels");
    // A pointer into an array stays valid: the array does not grow while its last element is open.
    stack_.push_back(place(std::move(container)));
    return true;
  }
  bool close() {
    stack_.pop_back();
    return true;
  }

  std::string_view what_;
  JsonLimits limits_;
  json root_;
  std::vector<json*> stack_;
  std::string key_;
};

std::string_view kind_of(const json& value) {
  switch (value.type()) {
    case json::value_t::null: return "null";
    case json::value_t::object: return "an object";
    case json::value_t::array: return "a list";
    case json::value_t::string: return "a string";
    case json::value_t::boolean: return "true or false";
    case json::value_t::number_integer:
    case json::value_t::number_unsigned: return "an integer";
    case json::value_t::number_float: return "a floating point number";
    default: return "something else";
  }
}

Error wrong_kind(const std::string& path, std::string_view expected, const json& found) {
  return Error(Code::input, path, ": expected ", expected, ", found ", kind_of(found));
}

std::vector<std::string> strings_of(const json& list, const std::string& path) {
  if (!list.is_array()) throw wrong_kind(path, "a list of strings", list);
  std::vector<std::string> texts;
  for (const json& item : list) {
    if (!item.is_string()) throw wrong_kind(path, "a list of strings", item);
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

int64_t integer_of(const json& value, const std::string& path, int64_t least, int64_t most) {
  if (!value.is_number_integer()) throw wrong_kind(path, "an integer", value);
  const bool too_large = value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  const int64_t number = too_large ? INT64_MAX : value.get<int64_t>();
  if (too_large || number < least || number > most)
    throw Error(Code::input, path, ": expected an integer from ", least, " to ", most, ", found ", value.dump());
  return number;
}

}  // namespace

nlohmann::json parse_json(std::string_view text, std::string_view what, JsonLimits limits) {
  if (!is_valid_utf8(text)) throw Error(Code::input, what, ": not valid UTF-8");
  if (text.starts_with("\xEF\xBB\xBF")) throw Error(Code::input, what, ": begins with a byte order mark");
  Builder builder(what, limits);
  json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

std::string canonical_json(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::strict);
}

JsonObject::JsonObject(const nlohmann::json& value, std::string path) : value_(&value), path_(std::move(path)) {
  if (!value.is_object()) throw wrong_kind(path_, "an object", value);
}

std::string JsonObject::path_of(std::string_view key) const { return path_ + "." + std::string(key); }

const nlohmann::json* JsonObject::find(std::string_view key) {
  const auto member = value_->find(key);
  seen_.emplace_back(key);
  return member == value_->end() ? nullptr : &*member;
}

bool JsonObject::has(std::string_view key) const { return value_->contains(key); }

const nlohmann::json& JsonObject::any(std::string_view key) {
  const json* member = find(key);
  if (member == nullptr) throw Error(Code::input, path_, ": the key \"", key, "\" is missing");
  return *member;
}

std::string JsonObject::string(std::string_view key) {
  const json& member = any(key);
  if (!member.is_string()) throw wrong_kind(path_of(key), "a string", member);
  return member.get<std::string>();
}

std::string JsonObject::string_or(std::string_view key, std::string_view otherwise) {
  return has(key) ? string(key) : (find(key), std::string(otherwise));
}

int64_t JsonObject::integer(std::string_view key, int64_t least, int64_t most) {
  return integer_of(any(key), path_of(key), least, most);
}

int64_t JsonObject::integer_or(std::string_view key, int64_t least, int64_t most, int64_t otherwise) {
  return has(key) ? integer(key, least, most) : (find(key), otherwise);
}

double JsonObject::number_or(std::string_view key, double otherwise) {
  const json* member = find(key);
  if (member == nullptr) return otherwise;
  if (!member->is_number()) throw wrong_kind(path_of(key), "a number", *member);
  return member->get<double>();
}

bool JsonObject::boolean(std::string_view key) {
  const json& member = any(key);
  if (!member.is_boolean()) throw wrong_kind(path_of(key), "true or false", member);
  return member.get<bool>();
}

bool JsonObject::boolean_or(std::string_view key, bool otherwise) {
  return has(key) ? boolean(key) : (find(key), otherwise);
}

std::vector<std::string> JsonObject::strings(std::string_view key) { return strings_of(any(key), path_of(key)); }

std::vector<std::string> JsonObject::strings_or_none(std::string_view key) {
  return has(key) ? strings(key) : (find(key), std::vector<std::string>());
}

JsonObject JsonObject::object(std::string_view key) { return JsonObject(any(key), path_of(key)); }

std::vector<JsonObject> JsonObject::objects(std::string_view key) {
  const json& list = any(key);
  if (!list.is_array()) throw wrong_kind(path_of(key), "a list of objects", list);
  std::vector<JsonObject> objects;
  for (size_t i = 0; i < list.size(); ++i) objects.emplace_back(list[i], path_of(key) + "[" + std::to_string(i) + "]");
  return objects;
}

void JsonObject::finish() const {
  for (const auto& [key, member] : value_->items())
    if (std::find(seen_.begin(), seen_.end(), key) == seen_.end())
      throw Error(Code::input, path_, ": unknown key \"", printable(shortened(key, 80)), "\"");
}

}  // namespace gf
