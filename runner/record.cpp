// What an entry of each type must hold.
#include "runner/record.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>

#include "kernels/base/error.h"
#include "kernels/base/strict_json.h"

namespace gf {
namespace {

using nlohmann::json;

constexpr int64_t kMost = int64_t{1} << 53;  // what every JSON reader holds exactly

void seconds(JsonObject& body, std::string_view key) {
  const json& value = body.any(key);
  if (!value.is_number() || !(value.get<double>() >= 0) || !std::isfinite(value.get<double>()))
    throw Error(Code::input, body.path(), ".", key, ": expected a number of seconds, 0 or more");
}

void digest(JsonObject& body, std::string_view key) {
  Digest::from_hex(body.string(key), body.path() + "." + std::string(key));
}

bool absent(JsonObject& body, std::string_view key) { return !body.has(key) || body.any(key).is_null(); }

void optional_digest(JsonObject& body, std::string_view key) {
  if (!absent(body, key)) digest(body, key);
}

void optional_string(JsonObject& body, std::string_view key) {
  if (!absent(body, key)) body.string(key);
}

void time(JsonObject& body, std::string_view key) {
  parse_time(body.string(key), body.path() + "." + std::string(key));
}

void word(JsonObject& body, std::string_view key, std::initializer_list<std::string_view> allowed) {
  const std::string found = body.string(key);
  if (std::find(allowed.begin(), allowed.end(), found) == allowed.end())
    throw Error(Code::input, body.path(), ".", key, ": the word \"", printable(shortened(found, 60)),
                "\" is not known here");
}

void xccdf_result(JsonObject& body, std::string_view key) {
  word(body, key,
       {"pass", "fail", "error", "unknown", "notapplicable", "notchecked", "notselected", "informational", "fixed"});
}

void origin(JsonObject& body) { word(body, "origin", {"vetted", "model"}); }

void run_started(JsonObject& body) {
  check_run_id(body.string("run_id"));
  body.string("version");
  word(body, "mode", {"scan", "trial", "apply", "recover", "roll_back"});
  time(body, "started");
  body.string("host");
  JsonObject target = body.object("target");
  target.string("kind");
  target.string("path");
  digest(body, "job_digest");
  optional_digest(body, "previous_run");
  for (JsonObject& bundle : body.objects("bundles")) {
    bundle.string("path");
    bundle.string("stream");
    bundle.any("version");
    digest(bundle, "digest");
    for (JsonObject& signer : bundle.objects("signers")) {
      signer.string("subject");
      signer.string("key");
    }
  }
  if (!absent(body, "content")) {
    JsonObject content = body.object("content");
    content.string("name");
    digest(content, "digest");
  }
  optional_digest(body, "policy_digest");
  optional_digest(body, "trust_digest");
  JsonObject clock = body.object("clock");
  clock.boolean("synchronized");
  clock.string("source");
}

void benchmark(JsonObject& body) {
  for (const auto* key : {"benchmark_id", "profile_id", "profile_title", "content_title", "version"}) body.string(key);
  for (JsonObject& rule : body.objects("rules")) {
    for (const auto* key : {"id", "title", "severity", "description", "stig_id", "sv_id"}) rule.string(key);
    rule.strings("references");
    rule.boolean("has_fix");
  }
}

void models(JsonObject& body) {
  for (JsonObject& model : body.objects("models")) {
    model.string("name");
    model.strings("roles");
    digest(model, "digest");
    model.string("format");
    model.integer("bytes", 0, kMost);
    model.boolean("demo");
    optional_string(model, "note");
  }
  for (JsonObject& prompt : body.objects("prompts")) {
    prompt.string("name");
    digest(prompt, "digest");
  }
}

void waivers(JsonObject& body) {
  for (JsonObject& waiver : body.objects("waivers")) {
    for (const auto* key : {"rule", "approver", "author", "reason"}) waiver.string(key);
    time(waiver, "expires");
    waiver.boolean("active");
  }
}

void scan(JsonObject& body) {
  word(body, "phase", {"before", "batch", "after"});
  seconds(body, "seconds");
  optional_digest(body, "xccdf_digest");
  for (JsonObject& state : body.objects("states")) {
    state.string("rule");
    xccdf_result(state, "result");
    state.string("evidence");
  }
}

void attempt_intent(JsonObject& body) {
  body.string("rule");
  body.integer("attempt", 1, kMost);
  origin(body);
  const std::string script = body.string("script");
  if (Digest::from_hex(body.string("script_digest"), body.path() + ".script_digest") != sha384(script))
    throw Error(Code::input, body.path(), ".script_digest: not the digest of the script");
}

void attempt(JsonObject& body) {
  body.string("rule");
  body.integer("attempt", 1, kMost);
  origin(body);
  word(body, "outcome", {"passed", "failed", "refused", "error", "conflict", "unhealthy", "invalid_output"});
  body.string("reason");
  optional_string(body, "refused_by");
  if (!absent(body, "exit_code")) body.integer("exit_code", -1, 1024);
  body.string("output");
  if (!absent(body, "result")) xccdf_result(body, "result");
  body.string("evidence");
  for (JsonObject& change : body.objects("changes")) {
    change.string("path");
    change.string("kind");
  }
  seconds(body, "seconds");
  if (!absent(body, "plan")) body.object("plan");
  optional_string(body, "lesson");
}

void commit_intent(JsonObject& body) {
  body.string("rule");
  body.string("commit_id");
  body.integer("attempt", 1, kMost);
  origin(body);
  for (JsonObject& change : body.objects("changes")) {
    change.string("path");
    word(change, "kind", {"created", "modified", "deleted", "metadata"});
    optional_digest(change, "before_digest");
    optional_digest(change, "after_digest");
    for (const auto* key : {"before_mode", "after_mode"})
      if (!absent(change, key) && !change.any(key).is_string()) change.integer(key, 0, 07777);
  }
}

void commit(JsonObject& body) {
  body.string("rule");
  body.string("commit_id");
  word(body, "outcome", {"committed", "conflict", "rolled_back"});
  if (!absent(body, "result")) xccdf_result(body, "result");
  body.string("reason");
}

void roll_back(JsonObject& body) {
  body.string("commit_id");
  optional_string(body, "rule");
  body.string("reason");
}

void rule_outcome(JsonObject& body) {
  body.string("rule");
  word(body, "outcome",
       {"already_passing", "fixed", "not_fixed", "refused", "not_applicable", "not_checked", "waived", "rolled_back",
        "skipped", "needs_reboot", "scan_only", "trial_only", "error"});
  body.string("reason");
  if (!absent(body, "fixed_by")) word(body, "fixed_by", {"vetted", "model"});
  body.integer("attempts", 0, kMost);
  body.integer("model_attempts", 0, kMost);
  seconds(body, "seconds");
}

void recovered(JsonObject& body) {
  body.string("what");
  optional_string(body, "commit_id");
  optional_string(body, "rule");
}

void note(JsonObject& body) { body.string("text"); }

void run_finished(JsonObject& body) {
  word(body, "status", {"complete", "partial"});
  body.string("reason");
  time(body, "finished");
  body.integer("exit_code", 0, 255);
}

using Check = void (*)(JsonObject&);

const std::map<std::string_view, Check>& checks() {
  static const std::map<std::string_view, Check> table = {{"run_started", run_started},
                                                          {"benchmark", benchmark},
                                                          {"models", models},
                                                          {"waivers", waivers},
                                                          {"scan", scan},
                                                          {"attempt_intent", attempt_intent},
                                                          {"attempt", attempt},
                                                          {"commit_intent", commit_intent},
                                                          {"commit", commit},
                                                          {"roll_back", roll_back},
                                                          {"rule_outcome", rule_outcome},
                                                          {"recovered", recovered},
                                                          {"note", note},
                                                          {"run_finished", run_finished}};
  return table;
}

}  // namespace

void check_body(std::string_view type, const json& body) {
  const auto check = checks().find(type);
  if (check == checks().end())
    throw Error(Code::corrupt, "entry type \"", printable(shortened(type, 60)), "\" is not known to this version");
  try {
    JsonObject object(body, std::string(type));
    check->second(object);
  } catch (const Error& error) {
    throw Error(Code::corrupt, error.message());
  }
}

void check_run_id(std::string_view run_id) {
  const auto letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  // "latest" is the link that points to the newest report.
  const bool good = !run_id.empty() && run_id != "latest" && run_id.size() <= 64 && letter_or_digit(run_id.front()) &&
                    std::all_of(run_id.begin(), run_id.end(),
                                [&](char c) { return letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
  if (!good)
    throw Error(Code::input, "run id \"", printable(shortened(run_id, 80)),
                "\": expected 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or a digit, and not "
                "\"latest\"");
}

json with_valid_text(json value) {
  if (value.is_string()) {
    auto& text = value.get_ref<std::string&>();
    if (!is_valid_utf8(text)) text = to_valid_utf8(text);
    return value;
  }
  if (value.is_array()) {
    for (json& item : value) item = with_valid_text(std::move(item));
    return value;
  }
  if (!value.is_object()) return value;
  const bool keys_valid = std::all_of(value.items().begin(), value.items().end(),
                                      [](const auto& item) { return is_valid_utf8(item.key()); });
  if (keys_valid) {
    for (auto& [key, member] : value.items()) member = with_valid_text(std::move(member));
    return value;
  }
  json repaired = json::object();
  for (auto& [key, member] : value.items()) repaired[to_valid_utf8(key)] = with_valid_text(std::move(member));
  return repaired;
}

}  // namespace gf
