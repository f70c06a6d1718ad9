// Reading the signed job manifest.
#include "runner/job_manifest.h"

#include <algorithm>

#include "kernels/base/error.h"
#include "kernels/base/strict_toml.h"
#include "runner/report.h"

namespace gf {
namespace {

constexpr int64_t kVersion = 1;
constexpr int64_t kMaxContextTokens = 262144;

Waiver read_waiver(TomlTable& table) {
  Waiver waiver;
  waiver.rule = table.string("rule");
  waiver.author = table.string("author");
  waiver.approver = table.string("approver");
  waiver.reason = table.string("reason");
  waiver.expires = table.string("expires");
  const Time expires = parse_time(waiver.expires, table.where("expires") + ": expires");
  // Whether it counts today is judged when the run starts; here, whether it could ever count.
  const std::string problem = why_waiver_does_not_count(waiver, expires - std::chrono::seconds(1));
  if (!problem.empty()) throw Error(Code::input, table.where(), ": waiver of ", printable(waiver.rule), ": ", problem);
  return waiver;
}

RoleKind role_from(const std::string& text) {
  if (text == "architect") return RoleKind::architect;
  return text == "worker" ? RoleKind::worker : RoleKind::reflector;
}

void read_roles(JobManifest& manifest, TomlTable& root) {
  for (TomlTable& table : root.tables_or_none("role")) {
    const std::string name = table.choice("name", {"architect", "worker", "reflector"});
    Role role;
    role.model = table.string("model");
    role.prompt = table.string("prompt");
    role.thinking = table.boolean_or("thinking", false);
    role.max_new_tokens = table.integer_or("max_new_tokens", 16, 65536, 1024);
    role.context_tokens = table.integer_or("context_tokens", 256, kMaxContextTokens, 8192);
    role.temperature = table.number_or("temperature", 0.0, 10.0, 1.0);
    role.top_p = table.number_or("top_p", 0.0, 1.0, 0.95);
    role.top_k = table.integer_or("top_k", 0, 1 << 20, 64);
    const bool known = std::any_of(manifest.models.begin(), manifest.models.end(),
                                   [&](const ModelChoice& model) { return model.name == role.model; });
    if (!known)
      throw Error(Code::input, table.where("model"), ": model: no [[model]] has the name \"", printable(role.model),
                  "\"");
    if (role.max_new_tokens >= role.context_tokens)
      throw Error(Code::input, table.where(), ": max_new_tokens (", role.max_new_tokens,
                  ") must be less than context_tokens (", role.context_tokens, "), or no room is left for the prompt");
    if (!manifest.roles.emplace(role_from(name), role).second)
      throw Error(Code::input, table.where("name"), ": name: the role ", name, " is given twice");
  }
  if (!manifest.roles.empty() && !manifest.roles.contains(RoleKind::worker))
    throw Error(Code::input, root.where(), ": roles are given, but none is the worker, which writes the fixes");
}

void read_models(JobManifest& manifest, TomlTable& root) {
  for (TomlTable& table : root.tables_or_none("model")) {
    ModelChoice model;
    model.name = table.string("name");
    model.folder = table.string("folder");
    model.demo = table.boolean_or("demo", false);
    model.note = table.string_or("note", "");
    if (!model.folder.empty() && !model.folder.ends_with('/')) model.folder += '/';
    manifest.models.push_back(std::move(model));
  }
}

}  // namespace

std::string why_waiver_does_not_count(const Waiver& waiver, Time now) {
  return waiver_problem(waiver.author, waiver.approver, waiver.expires, now);
}

std::string_view to_text(RoleKind kind) {
  switch (kind) {
    case RoleKind::architect: return "architect";
    case RoleKind::worker: return "worker";
    case RoleKind::reflector: return "reflector";
  }
  return "worker";
}

JobManifest JobManifest::parse(std::string_view text, std::string_view name) {
  TomlTable root = TomlTable::parse(text, name, "/");
  root.integer("version", kVersion, kVersion);
  JobManifest manifest;
  manifest.content = root.string("content");
  manifest.profile = root.string("profile");
  if (root.has("policy")) manifest.policy = root.string("policy");
  for (const std::string& mode : root.strings_or_none("modes")) {
    if (mode != "scan" && mode != "trial" && mode != "apply")
      throw Error(Code::input, root.where("modes"), ": modes: expected scan, trial or apply, found \"", printable(mode),
                  "\"");
    manifest.modes.push_back(mode == "apply" ? Mode::apply : mode == "trial" ? Mode::trial : Mode::scan);
  }
  if (!root.has("modes")) manifest.modes = {Mode::scan, Mode::trial, Mode::apply};
  manifest.rules = root.strings("rules");
  manifest.exclude = root.strings_or_none("exclude");
  if (auto budget = root.optional_table("budget")) {
    manifest.model_attempts = budget->integer_or("model_attempts", 0, 1000000, 0);
    manifest.attempts_per_rule = budget->integer_or("attempts_per_rule", 0, 1000, 3);
    manifest.seconds_per_rule = budget->integer_or("seconds_per_rule", 1, 24 * 3600, 600);
    manifest.script_seconds = budget->integer_or("script_seconds", 1, 24 * 3600, 120);
  } else {
    manifest.seconds_per_rule = 600;
    manifest.script_seconds = 120;
  }
  manifest.seed = static_cast<uint64_t>(root.integer_or("seed", 0, INT64_MAX, 1));
  read_models(manifest, root);
  read_roles(manifest, root);
  for (TomlTable& table : root.tables_or_none("order"))
    manifest.order.push_back({table.string("rule"), table.strings_or_none("after"), table.boolean_or("last", false)});
  for (TomlTable& table : root.tables_or_none("waiver")) manifest.waivers.push_back(read_waiver(table));
  for (TomlTable& table : root.tables_or_none("health")) {
    HealthCheck check{table.string("name"), table.strings("command")};
    if (check.command.empty() || !check.command.front().starts_with('/'))
      throw Error(Code::input, table.where("command"),
                  ": command: expected an absolute program path and its arguments");
    manifest.health.push_back(std::move(check));
  }
  root.finish();
  return manifest;
}

}  // namespace gf
