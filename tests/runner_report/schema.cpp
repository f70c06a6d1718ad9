// As much of JSON Schema 2020-12 as runner/report.schema.json uses; a keyword outside of that is a problem.
#include <algorithm>
#include <set>

#include "tests/runner_report/sample_run.h"

namespace gf::test {
namespace {

using nlohmann::json;

bool is_of(const json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_boolean();
  return type == "null" && value.is_null();
}

bool type_matches(const json& types, const json& value) {
  if (types.is_string()) return is_of(value, types.get<std::string>());
  for (const json& type : types)
    if (is_of(value, type.get<std::string>())) return true;
  return false;
}

}  // namespace

std::vector<std::string> schema_problems(const json& root, const json& schema, const json& value,
                                         const std::string& path) {
  static const std::set<std::string> kKnown = {
      "$schema", "$id",      "title",      "description",          "$defs", "$ref", "type", "enum", "const",
      "minimum", "required", "properties", "additionalProperties", "items"};
  std::vector<std::string> problems;
  const auto add_all = [&](const std::vector<std::string>& more) {
    problems.insert(problems.end(), more.begin(), more.end());
  };
  for (const auto& [keyword, unused] : schema.items())
    if (!kKnown.contains(keyword)) problems.push_back("the schema's keyword " + keyword + " is not known here");
  if (schema.contains("$ref"))
    return schema_problems(root, root.at(json::json_pointer(schema.at("$ref").get<std::string>().substr(1))), value,
                           path);
  if (schema.contains("type") && !type_matches(schema.at("type"), value))
    return {path + ": wrong type: " + value.dump().substr(0, 60)};
  if (schema.contains("const") && value != schema.at("const")) problems.push_back(path + ": not the constant");
  if (schema.contains("enum") &&
      std::find(schema.at("enum").begin(), schema.at("enum").end(), value) == schema.at("enum").end())
    problems.push_back(path + ": not one of the words: " + value.dump());
  if (schema.contains("minimum") && value.is_number() && value.get<double>() < schema.at("minimum").get<double>())
    problems.push_back(path + ": too small");
  if (value.is_array() && schema.contains("items"))
    for (size_t i = 0; i < value.size(); ++i)
      add_all(schema_problems(root, schema.at("items"), value[i], path + "[" + std::to_string(i) + "]"));
  if (!value.is_object()) return problems;
  for (const json& key : schema.value("required", json::array()))
    if (!value.contains(key.get<std::string>())) problems.push_back(path + ": lacks " + key.get<std::string>());
  const json properties = schema.value("properties", json::object());
  const json others = schema.value("additionalProperties", json(true));
  for (const auto& [key, member] : value.items()) {
    if (properties.contains(key))
      add_all(schema_problems(root, properties.at(key), member, path + "." + key));
    else if (others.is_object())
      add_all(schema_problems(root, others, member, path + "." + key));
    else if (others == false)
      problems.push_back(path + ": unknown key " + key);
  }
  return problems;
}

}  // namespace gf::test
