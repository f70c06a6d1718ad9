#include "engine/json_schema.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "engine/grammar_vocabulary.h"
#include "kernels/base/error.h"
#include "kernels/base/strict_json.h"
#include "kernels/base/text.h"

namespace gf {
namespace {

using nlohmann::json;
using Kind = SchemaForm::Kind;

constexpr int64_t kUnreachable = int64_t{1} << 60;

// Keywords that describe and do not constrain.
void skip_annotations(JsonObject& schema) {
  for (const char* key : {"title", "description", "default", "examples", "$schema", "$id", "$comment"})
    if (schema.has(key)) static_cast<void>(schema.any(key));
}

std::string dumped(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

class Compiler {
 public:
  explicit Compiler(const GrammarVocabulary& vocabulary) : vocabulary_(vocabulary) {}

  std::unique_ptr<SchemaForm> form(JsonObject schema, int32_t depth) {
    if (depth > kMaxSchemaDepth)
      throw Error(Code::input, schema.path(), ": nested deeper than ", kMaxSchemaDepth, " levels");
    skip_annotations(schema);
    auto made = std::make_unique<SchemaForm>();
    const std::string type = schema.string_or("type", "");
    if (schema.has("enum") || schema.has("const"))
      choices(*made, schema, type);
    else if (type == "string")
      string(*made, schema);
    else if (type == "integer")
      integer(*made, schema);
    else if (type == "number")
      number(*made);
    else if (type == "boolean")
      literals(*made, {"true", "false"});
    else if (type == "null")
      literals(*made, {"null"});
    else if (type == "object")
      object(*made, schema, depth);
    else if (type == "array")
      array(*made, schema, depth);
    else
      throw Error(Code::input, schema.path(),
                  ": expected type object, array, string, integer, number, boolean or null, ",
                  "or enum or const; found type \"", printable(shortened(type, 40)), "\"");
    schema.finish();
    if (made->least > kMaxSchemaLeast)
      throw Error(Code::input, schema.path(), ": its shortest text has ", made->least, " tokens; the limit is ",
                  kMaxSchemaLeast);
    return made;
  }

 private:
  void literals(SchemaForm& made, const std::vector<std::string>& texts) {
    made.kind = Kind::literal;
    for (const std::string& text : texts) made.literals.add(text, LiteralTree::kEnd);
    made.literals.compute_costs(vocabulary_, {});
    made.least = made.literals.cost(0);
  }

  void choices(SchemaForm& made, JsonObject& schema, const std::string& type) {
    std::vector<std::string> texts;
    const auto add = [&](const json& value, const std::string& path) {
      if (value.is_structured()) throw Error(Code::input, path, ": lists and objects are not understood here");
      const bool fits = type.empty() || (type == "string" && value.is_string()) ||
                        (type == "integer" && value.is_number_integer()) || (type == "number" && value.is_number()) ||
                        (type == "boolean" && value.is_boolean()) || (type == "null" && value.is_null());
      if (!fits)
        throw Error(Code::input, path, ": ", printable(shortened(dumped(value), 80)), " is not of type ",
                    printable(type));
      texts.push_back(dumped(value));
      if (texts.back().size() > kMaxSchemaTextBytes)
        throw Error(Code::input, path, ": a value of ", texts.back().size(), " bytes; the limit is ",
                    kMaxSchemaTextBytes);
    };
    if (schema.has("const")) {
      add(schema.any("const"), schema.path() + ".const");
    } else {
      const json& values = schema.any("enum");
      if (!values.is_array() || values.empty() || values.size() > kMaxSchemaChoices)
        throw Error(Code::input, schema.path(), ".enum: expected a list of 1 to ", kMaxSchemaChoices, " values");
      for (const json& value : values) add(value, schema.path() + ".enum");
    }
    literals(made, texts);
  }

  static void ordered(const JsonObject& schema, const char* low, int64_t least, const char* high, int64_t most) {
    if (least > most)
      throw Error(Code::input, schema.path(), ": ", low, " is ", least, ", above ", high, " which is ", most);
  }

  static void string(SchemaForm& made, JsonObject& schema) {
    made.kind = Kind::string;
    made.min_length = schema.integer_or("minLength", 0, kMaxSchemaLength, 0);
    made.max_length = schema.integer_or("maxLength", 0, kMaxSchemaLength, kMaxSchemaLength);
    ordered(schema, "minLength", made.min_length, "maxLength", made.max_length);
    made.least = made.min_length + 2;
  }

  static void integer(SchemaForm& made, JsonObject& schema) {
    made.kind = Kind::integer;
    made.minimum = schema.integer_or("minimum", -kMaxSchemaInteger, kMaxSchemaInteger, -kMaxSchemaInteger);
    made.maximum = schema.integer_or("maximum", -kMaxSchemaInteger, kMaxSchemaInteger, kMaxSchemaInteger);
    ordered(schema, "minimum", made.minimum, "maximum", made.maximum);
    // One token for each digit of the value next to 0, and its sign.
    const int64_t nearest = made.minimum > 0 ? made.minimum : made.maximum < 0 ? made.maximum : 0;
    made.least = static_cast<int64_t>(std::to_string(nearest).size());
  }

  static void number(SchemaForm& made) {
    made.kind = Kind::number;
    made.least = 1;
  }

  void array(SchemaForm& made, JsonObject& schema, int32_t depth) {
    made.kind = Kind::array;
    made.min_items = schema.integer_or("minItems", 0, kMaxSchemaItems, 0);
    made.max_items = schema.integer_or("maxItems", 0, kMaxSchemaItems, kMaxSchemaItems);
    ordered(schema, "minItems", made.min_items, "maxItems", made.max_items);
    made.item = form(schema.object("items"), depth + 1);
    // '[', the items with ',' between, ']'
    made.least = made.min_items == 0 ? 2 : 1 + made.min_items * (made.item->least + 1);
  }

  void object(SchemaForm& made, JsonObject& schema, int32_t depth) {
    made.kind = Kind::object;
    if (schema.boolean_or("additionalProperties", false))
      throw Error(Code::input, schema.path(), ".additionalProperties: only false is understood");
    JsonObject properties = schema.object("properties");
    std::vector<std::string> names = schema.strings_or_none("required");
    const size_t required = names.size();
    for (size_t i = 0; i < required; ++i) {
      if (!properties.has(names[i]))
        throw Error(Code::input, schema.path(), ".required: \"", printable(shortened(names[i], 80)),
                    "\" is not among the properties");
      if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
          names.begin() + static_cast<std::ptrdiff_t>(i))
        throw Error(Code::input, schema.path(), ".required: \"", printable(shortened(names[i], 80)), "\" twice");
    }
    for (const auto& [name, property] : properties.value().items())
      if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(required), name) ==
          names.begin() + static_cast<std::ptrdiff_t>(required))
        names.push_back(name);
    if (names.size() > kMaxSchemaMembers)
      throw Error(Code::input, properties.path(), ": more than ", kMaxSchemaMembers, " members");
    for (const std::string& name : names)
      if (name.size() > kMaxSchemaTextBytes)
        throw Error(Code::input, properties.path(), ": a name of ", name.size(), " bytes; the limit is ",
                    kMaxSchemaTextBytes);
    for (const std::string& name : names) made.members.push_back(form(properties.object(name), depth + 1));
    member_texts(made, names, required);
  }

  // before[i]: the texts that lead from where member i could come to the member that does come, or to the end.
  // Required members come first, so every optional one may be left out from there on.
  void member_texts(SchemaForm& made, const std::vector<std::string>& names, size_t required) {
    const size_t count = names.size();
    made.before.resize(count + 1);
    std::vector<int64_t> tail(count, 0);  // after the text before member j: that member and all that follows
    for (size_t i = count + 1; i-- > 0;) {
      LiteralTree& texts = made.before[i];
      for (size_t j = i; j < count; ++j) {
        const std::string key = dumped(json(names[j])) + ":";
        for (const std::string_view start :
             i == 0 ? std::vector<std::string_view>{"{"} : std::vector<std::string_view>{",", ", "})
          for (const std::string_view space : {"", " "})
            texts.add(std::string(start) + key + std::string(space), static_cast<int32_t>(j));
        if (j < required) break;
      }
      if (i >= required) texts.add(i == 0 ? "{}" : "}", LiteralTree::kEnd);
      texts.compute_costs(vocabulary_, tail);
      if (i > 0) tail[i - 1] = made.members[i - 1]->least + texts.cost(0);
    }
    made.least = made.before[0].cost(0);
  }

  const GrammarVocabulary& vocabulary_;
};

}  // namespace

void LiteralTree::add(std::string_view text, int32_t target) {
  int32_t node = 0;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    int32_t next = child(node, byte);
    if (next < 0) {
      next = static_cast<int32_t>(nodes_.size());
      nodes_.push_back({byte, kOpen, -1, at(node).first_child, 0});
      nodes_[static_cast<size_t>(node)].first_child = next;
    }
    node = next;
  }
  nodes_[static_cast<size_t>(node)].target = target;
}

int32_t LiteralTree::child(int32_t node, uint8_t byte) const {
  int32_t found = at(node).first_child;
  while (found >= 0 && at(found).byte != byte) found = at(found).next_sibling;
  return found;
}

void LiteralTree::compute_costs(const GrammarVocabulary& vocabulary, const std::vector<int64_t>& tail) {
  const TokenTree& tokens = vocabulary.all();
  std::vector<int32_t> path(GrammarVocabulary::kMaxTokenBytes + 1);
  // Children are made after their parents, so going backwards every node below is done.
  for (auto from = static_cast<int32_t>(nodes_.size()) - 1; from >= 0; --from) {
    Node& node = nodes_[static_cast<size_t>(from)];
    node.cost = node.target >= 0 ? tail[static_cast<size_t>(node.target)] : node.target == kEnd ? 0 : kUnreachable;
    path[0] = from;
    for (uint32_t i = 0; i < tokens.nodes.size();) {
      const TokenTree::Node& token = tokens.nodes[i];
      const int32_t reached = child(path[token.depth - 1u], token.byte);
      path[token.depth] = reached;
      if (reached >= 0 && token.token_count > 0) node.cost = std::min(node.cost, 1 + at(reached).cost);
      i = reached >= 0 ? i + 1 : token.next;
    }
  }
}

std::unique_ptr<SchemaForm> read_schema(const json& schema, const GrammarVocabulary& vocabulary) {
  auto root = Compiler(vocabulary).form(JsonObject(schema, "schema"), 1);
  if (root->kind != Kind::object) throw Error(Code::input, "schema.type: the root must be an object");
  return root;
}

}  // namespace gf
