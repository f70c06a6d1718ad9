// JSON as we accept it: RFC 8259, and besides no duplicate keys, no ill-formed UTF-8, no byte order
// mark, nothing after the value, bounded depth. Numbers keep their kind (integer or float).
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gf {

struct JsonLimits {
  size_t depth = 64;
  bool floats_allowed = true;
};

// Throws Code::input: "WHAT: byte 17: duplicate key "a"".
nlohmann::json parse_json(std::string_view text, std::string_view what, JsonLimits limits = {});

// One line, keys sorted by their bytes, no spaces, UTF-8 unescaped: what digests and signatures are
// made over. Equal values give equal bytes.
std::string canonical_json(const nlohmann::json& value);

// Reads an object's members by name, with the type checked; finish() refuses members nobody asked
// for. Every error names the path: "manifest.files[3].size: expected an integer, found a string".
class JsonObject {
 public:
  JsonObject(const nlohmann::json& value, std::string path);

  [[nodiscard]] bool has(std::string_view key) const;
  const nlohmann::json& any(std::string_view key);  // must be there
  std::string string(std::string_view key);
  std::string string_or(std::string_view key, std::string_view otherwise);
  int64_t integer(std::string_view key, int64_t least, int64_t most);
  int64_t integer_or(std::string_view key, int64_t least, int64_t most, int64_t otherwise);
  double number_or(std::string_view key, double otherwise);
  bool boolean(std::string_view key);
  bool boolean_or(std::string_view key, bool otherwise);
  std::vector<std::string> strings(std::string_view key);  // must be there
  std::vector<std::string> strings_or_none(std::string_view key);
  JsonObject object(std::string_view key);
  std::vector<JsonObject> objects(std::string_view key);  // must be there
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const nlohmann::json& value() const { return *value_; }
  void finish() const;

 private:
  [[nodiscard]] std::string path_of(std::string_view key) const;
  const nlohmann::json* find(std::string_view key);
  const nlohmann::json* value_;
  std::string path_;
  std::vector<std::string> seen_;
};

}  // namespace gf
