// TOML as the administrator's files are read: unknown keys are errors with line and column, every
// value has one type, and relative paths are relative to the file that names them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gf {

class TomlTable {
 public:
  // Throws Code::input (syntax, with file:line:column) or Code::io.
  static TomlTable parse_file(const std::filesystem::path& path);
  // `name` is shown in errors; relative paths are relative to `folder`.
  static TomlTable parse(std::string_view text, std::string_view name, const std::filesystem::path& folder);

  TomlTable(TomlTable&&) noexcept;
  TomlTable& operator=(TomlTable&&) noexcept;
  ~TomlTable();

  [[nodiscard]] bool has(std::string_view key) const;
  // The plain readers throw Code::input if the key is missing; the ..._or ones give the other value.
  std::string string(std::string_view key);
  std::string string_or(std::string_view key, std::string_view otherwise);
  // One of `allowed`; the error lists them.
  std::string choice(std::string_view key, const std::vector<std::string>& allowed);
  std::string choice_or(std::string_view key, const std::vector<std::string>& allowed, std::string_view otherwise);
  int64_t integer(std::string_view key, int64_t least, int64_t most);
  int64_t integer_or(std::string_view key, int64_t least, int64_t most, int64_t otherwise);
  double number_or(std::string_view key, double least, double most, double otherwise);
  bool boolean(std::string_view key);
  bool boolean_or(std::string_view key, bool otherwise);
  std::vector<std::string> strings(std::string_view key);
  std::vector<std::string> strings_or_none(std::string_view key);
  // Absolute, lexically normal.
  std::filesystem::path path(std::string_view key);
  std::optional<std::filesystem::path> optional_path(std::string_view key);
  TomlTable table(std::string_view key);
  std::optional<TomlTable> optional_table(std::string_view key);
  std::vector<TomlTable> tables_or_none(std::string_view key);  // [[key]]
  [[nodiscard]] std::vector<std::string> keys() const;          // in the order of the file's bytes

  // "job.toml:12:3" of the key if it is there, else of the table.
  [[nodiscard]] std::string where(std::string_view key = {}) const;
  // Refuses every key that was not asked for, in this table and in those taken from it.
  void finish() const;

 private:
  struct State;
  explicit TomlTable(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace gf
