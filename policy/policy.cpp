// Reading policy.toml, and asking its grants.
#include "policy/policy.h"

#include <algorithm>

#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "kernels/base/strict_toml.h"
#include "policy/builtin_rules.h"
#include "policy/effects.h"
#include "policy/named_paths.h"

namespace gf {

namespace {

constexpr uint64_t kMaxPolicyBytes = 1 << 20;
constexpr int64_t kMaxScriptBytes = 1 << 20;
constexpr int64_t kDefaultScriptBytes = 64 << 10;
constexpr int64_t kMaxChangedFiles = 1'000'000;
constexpr int64_t kDefaultChangedFiles = 2000;

std::vector<Mode> read_modes(TomlTable& file) {
  std::vector<Mode> modes;
  if (!file.has("modes")) return {Mode::scan, Mode::trial, Mode::apply};
  for (const std::string& word : file.strings("modes")) {
    const auto all = {Mode::scan, Mode::trial, Mode::apply};
    const auto* found = std::find_if(all.begin(), all.end(), [&](Mode mode) { return mode_name(mode) == word; });
    if (found == all.end()) {
      throw Error(Code::input, file.where("modes"), ": expected scan, trial or apply, found ", word);
    }
    modes.push_back(*found);
  }
  return modes;
}

std::vector<Origin> read_origins(TomlTable& table, std::vector<Origin> otherwise) {
  if (!table.has("origins")) return otherwise;
  std::vector<Origin> origins;
  for (const std::string& word : table.strings("origins")) {
    if (word != "vetted" && word != "model") {
      throw Error(Code::input, table.where("origins"), ": expected vetted or model, found ", word);
    }
    origins.push_back(word == "vetted" ? Origin::vetted : Origin::model);
  }
  return origins;
}

void check_absolute(TomlTable& table, std::string_view key, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (path.empty() || path.front() != '/' || path.find("/../") != std::string::npos) {
      throw Error(Code::input, table.where(key), ": expected an absolute path without .., found ", path);
    }
  }
}

std::vector<std::string> absolute_paths(TomlTable& table, std::string_view key) {
  std::vector<std::string> paths = table.strings_or_none(key);
  check_absolute(table, key, paths);
  return paths;
}

ScriptLimits read_limits(TomlTable& table) {
  ScriptLimits limits;
  limits.seconds = static_cast<int>(table.integer_or("seconds", 1, 86400, limits.seconds));
  limits.output_bytes = static_cast<uint64_t>(
      table.integer_or("output_bytes", 1024, 64 << 20, static_cast<int64_t>(limits.output_bytes)));
  limits.memory_bytes = static_cast<uint64_t>(
      table.integer_or("memory_bytes", 64 << 20, int64_t{1} << 40, static_cast<int64_t>(limits.memory_bytes)));
  limits.file_bytes = static_cast<uint64_t>(
      table.integer_or("file_bytes", 4096, int64_t{1} << 40, static_cast<int64_t>(limits.file_bytes)));
  limits.processes = static_cast<int>(table.integer_or("processes", 16, 65536, limits.processes));
  return limits;
}

void read_deny(TomlTable& file, Policy& policy) {
  policy.deny = builtin_deny_patterns();
  for (const std::string& name : file.strings_or_none("deny_without")) {
    const size_t removed = std::erase_if(policy.deny, [&](const DenyPattern& deny) { return deny.name == name; });
    if (removed == 0)
      throw Error(Code::input, file.where("deny_without"), ": no built-in deny pattern is called ", name);
  }
  for (TomlTable& table : file.tables_or_none("deny_pattern")) {
    std::string name = table.string("name");
    if (name.empty()) throw Error(Code::input, table.where("name"), ": expected a name, found an empty text");
    Pattern pattern(table.string("pattern"), table.where("pattern"));
    const bool all = table.choice_or("applies_to", {"model", "all"}, "model") == "all";
    policy.deny.push_back({.name = std::move(name),
                           .pattern = std::move(pattern),
                           .applies = all ? DenyPattern::Applies::all : DenyPattern::Applies::model});
    table.finish();
  }
}

template <typename T>
void append(std::vector<T>& to, std::vector<T> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

Guard* find_guard(Policy& policy, std::string_view name) {
  for (Guard& guard : policy.guards) {
    if (guard.name == name) return &guard;
  }
  return nullptr;
}

// A file can add guards and widen the built-in ones; it cannot take any away.
void read_guards(TomlTable& file, Policy& policy) {
  policy.guards = builtin_guards();
  for (TomlTable& table : file.tables_or_none("guard")) {
    const std::string name = table.string("class");
    if (name.empty() || is_effect_class(name)) {
      throw Error(Code::input, table.where("class"), ": expected the name of a guard, found \"", name, "\"");
    }
    Guard* guard = find_guard(policy, name);
    if (guard == nullptr) guard = &policy.guards.emplace_back(Guard{name, {}, {}, {}, {}});
    append(guard->rule_words, table.strings_or_none("rule_words"));
    for (const std::string& script : table.strings_or_none("scripts")) {
      guard->scripts.emplace_back(script, table.where("scripts"));
    }
    append(guard->paths, absolute_paths(table, "paths"));
    table.finish();
  }
}

// The first [[check]] of a class replaces that class's built-in checks; further ones are added.
void read_checks(TomlTable& file, Policy& policy) {
  std::vector<std::string> replaced;
  for (TomlTable& table : file.tables_or_none("check")) {
    const std::string name = table.string("class");
    Guard* guard = find_guard(policy, name);
    if (guard == nullptr) throw Error(Code::input, table.where("class"), ": no guard is called ", name);
    AccessCheck check{.guard = name, .needs = table.string_or("needs", ""), .argv = table.strings("argv")};
    if (check.argv.empty()) throw Error(Code::input, table.where("argv"), ": expected a command, found an empty list");
    check_absolute(table, "argv", {check.argv.front()});
    if (!check.needs.empty()) check_absolute(table, "needs", {check.needs});
    if (std::find(replaced.begin(), replaced.end(), name) == replaced.end()) {
      guard->checks.clear();
      replaced.push_back(name);
    }
    guard->checks.push_back(std::move(check));
    table.finish();
  }
}

void read_grants(TomlTable& file, Policy& policy) {
  for (TomlTable& table : file.tables_or_none("grant")) {
    Grant grant;
    grant.of_class = table.string("class");
    if (!is_effect_class(grant.of_class) && find_guard(policy, grant.of_class) == nullptr) {
      throw Error(Code::input, table.where("class"), ": nothing that can be granted is called ", grant.of_class);
    }
    grant.rules = table.strings("rules");
    grant.origins = read_origins(table, {Origin::vetted});
    grant.paths = absolute_paths(table, "paths");
    (void)table.string_or("reason", "");
    if (grant.rules.empty() || grant.origins.empty()) {
      throw Error(Code::input, table.where(), ": a grant needs at least one rule and one origin");
    }
    if (grant.of_class.starts_with("unnamed_") && grant.paths.empty()) {
      throw Error(Code::input, table.where(), ": a grant of ", grant.of_class, " must say which paths");
    }
    policy.grants.push_back(std::move(grant));
    table.finish();
  }
}

bool contains(const std::vector<std::string>& list, std::string_view wanted) {
  return std::find(list.begin(), list.end(), wanted) != list.end();
}

}  // namespace

bool Grant::covers(std::string_view wanted_class, std::string_view rule_id, Origin origin) const {
  // Whole ids only: many rule ids are the beginning of another one.
  // Whoever may change a path may also tighten it.
  const bool same_class =
      of_class == wanted_class || (of_class == "unnamed_path" && wanted_class == "unnamed_tightening");
  return same_class && (contains(rules, "*") || contains(rules, rule_id)) &&
         std::find(origins.begin(), origins.end(), origin) != origins.end();
}

bool Grant::covers_path(std::string_view path) const {
  return paths.empty() ||
         std::any_of(paths.begin(), paths.end(), [&](const std::string& glob) { return matches_glob(glob, path); });
}

Policy Policy::read(const std::filesystem::path& policy_toml) {
  const std::filesystem::path path = std::filesystem::absolute(policy_toml).lexically_normal();
  return parse(read_text_file(path, kMaxPolicyBytes), path.string(), path.parent_path());
}

Policy Policy::parse(std::string_view text, std::string_view name, const std::filesystem::path& folder) {
  TomlTable file = TomlTable::parse(text, name, folder);
  Policy policy;
  policy.digest = sha384(text);
  (void)file.integer_or("version", 1, 1, 1);
  policy.modes = read_modes(file);
  policy.origins = read_origins(file, {Origin::vetted, Origin::model});
  policy.interpreters = file.has("interpreters") ? absolute_paths(file, "interpreters")
                                                 : std::vector<std::string>{"/bin/bash", "/bin/sh"};
  policy.script_bytes = static_cast<uint64_t>(file.integer_or("script_bytes", 1, kMaxScriptBytes, kDefaultScriptBytes));
  policy.changed_files =
      static_cast<uint64_t>(file.integer_or("changed_files", 1, kMaxChangedFiles, kDefaultChangedFiles));
  policy.protected_paths = absolute_paths(file, "protected_paths");
  if (auto limits = file.optional_table("limits")) {
    policy.limits = read_limits(*limits);
    limits->finish();
  }
  read_deny(file, policy);
  read_guards(file, policy);
  read_checks(file, policy);
  read_grants(file, policy);
  file.finish();
  return policy;
}

Policy Policy::none() {
  Policy policy;
  policy.absent = true;
  return policy;
}

bool Policy::grants_class(std::string_view wanted_class, std::string_view rule_id, Origin origin) const {
  return absent || std::any_of(grants.begin(), grants.end(),
                               [&](const Grant& grant) { return grant.covers(wanted_class, rule_id, origin); });
}

bool Policy::grants_path(std::string_view wanted_class, std::string_view rule_id, Origin origin,
                         std::string_view path) const {
  return absent || std::any_of(grants.begin(), grants.end(), [&](const Grant& grant) {
           return grant.covers(wanted_class, rule_id, origin) && grant.covers_path(path);
         });
}

}  // namespace gf
