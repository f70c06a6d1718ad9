// TomlTable over toml++, which stays inside this file.
#include "kernels/base/strict_toml.h"

#include <toml++/toml.h>
#include <algorithm>

#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "kernels/base/text.h"

namespace gf {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{4} << 20;

std::string position_text(const std::string& name, const toml::source_region& region) {
  return name + ":" + std::to_string(region.begin.line) + ":" + std::to_string(region.begin.column);
}

std::string_view kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "a list";
    case toml::node_type::string: return "a string";
    case toml::node_type::integer: return "an integer";
    case toml::node_type::floating_point: return "a floating point number";
    case toml::node_type::boolean: return "true or false";
    default: return "a date or time";
  }
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

struct Document {
  toml::table root;
  std::string name;
  std::filesystem::path folder;
};

}  // namespace

struct TomlTable::State {
  std::shared_ptr<const Document> document;
  const toml::table* table = nullptr;
  // Shared with the tables taken from this one, so that the first finish() covers them.
  std::shared_ptr<std::vector<const toml::node*>> seen = std::make_shared<std::vector<const toml::node*>>();

  const toml::node* find(std::string_view key) const {
    const toml::node* node = table->get(key);
    if (node != nullptr) seen->push_back(node);
    return node;
  }
  const toml::node& need(std::string_view key) const {
    const toml::node* node = find(key);
    if (node == nullptr)
      throw Error(Code::input, position_text(document->name, table->source()), ": the key \"", key, "\" is missing");
    return *node;
  }
  Error wrong_kind(std::string_view key, std::string_view expected, const toml::node& found) const {
    return Error(Code::input, position_text(document->name, found.source()), ": ", key, ": expected ", expected,
                 ", found ", kind_of(found));
  }
  std::unique_ptr<State> child(const toml::table* inner) const {
    auto state = std::make_unique<State>();
    state->document = document;
    state->table = inner;
    state->seen = seen;
    return state;
  }
  void refuse_unknown(const toml::table& inner) const {
    for (const auto& [key, node] : inner) {
      if (std::find(seen->begin(), seen->end(), &node) == seen->end())
        throw Error(Code::input, position_text(document->name, key.source()), ": unknown key \"",
                    printable(shortened(key.str(), 80)), "\"");
      refuse_unknown_inside(node);
    }
  }
  void refuse_unknown_inside(const toml::node& node) const {
    if (const toml::table* nested = node.as_table()) refuse_unknown(*nested);
    if (const toml::array* list = node.as_array())
      for (const toml::node& item : *list)
        if (const toml::table* nested = item.as_table()) refuse_unknown(*nested);
  }
  std::vector<std::string> strings_of(std::string_view key, const toml::node& node) const {
    const toml::array* list = node.as_array();
    if (list == nullptr) throw wrong_kind(key, "a list of strings", node);
    std::vector<std::string> texts;
    for (const toml::node& item : *list) {
      const auto* text = item.as_string();
      if (text == nullptr) throw wrong_kind(key, "a list of strings", item);
      texts.push_back(text->get());
    }
    return texts;
  }
  std::filesystem::path path_of(const std::string& text) const {
    return std::filesystem::absolute(document->folder / text).lexically_normal();
  }
};

TomlTable::TomlTable(std::unique_ptr<State> state) : state_(std::move(state)) {}
TomlTable::TomlTable(TomlTable&&) noexcept = default;
TomlTable& TomlTable::operator=(TomlTable&&) noexcept = default;
TomlTable::~TomlTable() = default;

TomlTable TomlTable::parse_file(const std::filesystem::path& path) {
  const std::string text = read_text_file(path, kMaxFileBytes);
  const std::filesystem::path absolute = std::filesystem::absolute(path);
  return parse(text, path.native(), absolute.parent_path());
}

TomlTable TomlTable::parse(std::string_view text, std::string_view name, const std::filesystem::path& folder) {
  auto document = std::make_shared<Document>();
  document->name = name;
  document->folder = folder;
  try {
    document->root = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    throw Error(Code::input, position_text(document->name, error.source()),
                ": not valid TOML: ", printable(shortened(error.description(), 300)));
  }
  auto state = std::make_unique<State>();
  state->table = &document->root;
  state->document = std::move(document);
  return TomlTable(std::move(state));
}

bool TomlTable::has(std::string_view key) const { return state_->table->contains(key); }

std::string TomlTable::string(std::string_view key) {
  const toml::node& node = state_->need(key);
  const auto* text = node.as_string();
  if (text == nullptr) throw state_->wrong_kind(key, "a string", node);
  return text->get();
}

std::string TomlTable::string_or(std::string_view key, std::string_view otherwise) {
  return has(key) ? string(key) : std::string(otherwise);
}

std::string TomlTable::choice(std::string_view key, const std::vector<std::string>& allowed) {
  std::string value = string(key);
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end())
    throw Error(Code::input, where(key), ": ", key, ": expected one of ", joined(allowed), ", found \"",
                printable(shortened(value, 80)), "\"");
  return value;
}

std::string TomlTable::choice_or(std::string_view key, const std::vector<std::string>& allowed,
                                 std::string_view otherwise) {
  return has(key) ? choice(key, allowed) : std::string(otherwise);
}

int64_t TomlTable::integer(std::string_view key, int64_t least, int64_t most) {
  const toml::node& node = state_->need(key);
  const auto* number = node.as_integer();
  if (number == nullptr) throw state_->wrong_kind(key, "an integer", node);
  if (number->get() < least || number->get() > most)
    throw Error(Code::input, where(key), ": ", key, ": expected an integer from ", least, " to ", most, ", found ",
                number->get());
  return number->get();
}

int64_t TomlTable::integer_or(std::string_view key, int64_t least, int64_t most, int64_t otherwise) {
  return has(key) ? integer(key, least, most) : otherwise;
}

double TomlTable::number_or(std::string_view key, double least, double most, double otherwise) {
  if (!has(key)) return otherwise;
  const toml::node& node = state_->need(key);
  const std::optional<double> number = node.is_number() ? node.value<double>() : std::nullopt;
  if (!number) throw state_->wrong_kind(key, "a number", node);
  if (!(*number >= least && *number <= most))
    throw Error(Code::input, where(key), ": ", key, ": expected a number from ", least, " to ", most, ", found ",
                *number);
  return *number;
}

bool TomlTable::boolean(std::string_view key) {
  const toml::node& node = state_->need(key);
  const auto* value = node.as_boolean();
  if (value == nullptr) throw state_->wrong_kind(key, "true or false", node);
  return value->get();
}

bool TomlTable::boolean_or(std::string_view key, bool otherwise) { return has(key) ? boolean(key) : otherwise; }

std::vector<std::string> TomlTable::strings(std::string_view key) { return state_->strings_of(key, state_->need(key)); }

std::vector<std::string> TomlTable::strings_or_none(std::string_view key) {
  return has(key) ? strings(key) : std::vector<std::string>();
}

std::filesystem::path TomlTable::path(std::string_view key) {
  const std::string text = string(key);
  if (text.empty() || text.find('\0') != std::string::npos)
    throw Error(Code::input, where(key), ": ", key, ": expected a path, found an empty or impossible one");
  return state_->path_of(text);
}

std::optional<std::filesystem::path> TomlTable::optional_path(std::string_view key) {
  if (!has(key)) return std::nullopt;
  return path(key);
}

TomlTable TomlTable::table(std::string_view key) {
  const toml::node& node = state_->need(key);
  const toml::table* inner = node.as_table();
  if (inner == nullptr) throw state_->wrong_kind(key, "a table", node);
  return TomlTable(state_->child(inner));
}

std::optional<TomlTable> TomlTable::optional_table(std::string_view key) {
  if (!has(key)) return std::nullopt;
  return table(key);
}

std::vector<TomlTable> TomlTable::tables_or_none(std::string_view key) {
  std::vector<TomlTable> tables;
  if (!has(key)) return tables;
  const toml::node& node = state_->need(key);
  const toml::array* list = node.as_array();
  if (list == nullptr) throw state_->wrong_kind(key, "a list of tables ([[" + std::string(key) + "]])", node);
  for (const toml::node& item : *list) {
    const toml::table* inner = item.as_table();
    if (inner == nullptr) throw state_->wrong_kind(key, "a list of tables", item);
    tables.push_back(TomlTable(state_->child(inner)));
  }
  return tables;
}

std::vector<std::string> TomlTable::keys() const {
  std::vector<const toml::key*> found;
  for (const auto& [key, node] : *state_->table) found.push_back(&key);
  std::sort(found.begin(), found.end(), [](const toml::key* a, const toml::key* b) {
    const auto place = [](const toml::key* k) { return std::pair(k->source().begin.line, k->source().begin.column); };
    return place(a) < place(b);
  });
  std::vector<std::string> names;
  names.reserve(found.size());
  for (const toml::key* key : found) names.emplace_back(key->str());
  return names;
}

std::string TomlTable::where(std::string_view key) const {
  const toml::node* node = key.empty() ? nullptr : state_->table->get(key);
  return position_text(state_->document->name, node != nullptr ? node->source() : state_->table->source());
}

void TomlTable::finish() const { state_->refuse_unknown(*state_->table); }

}  // namespace gf
