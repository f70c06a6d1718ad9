// The events of a run, one function each.
#include "runner/report_replay.h"

#include <set>

#include "kernels/base/error.h"

namespace gf {
namespace {

using nlohmann::json;

template <typename... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  throw Error(Code::corrupt, parts...);
}

std::string text_of(const json& body, const char* key) { return body.at(key).get<std::string>(); }

json value_or_null(const json& body, const char* key) { return body.contains(key) ? body.at(key) : json(); }

// Names come from outside: shown in errors they must not reach a terminal as they are.
std::string shown(const std::string& text) { return printable(shortened(text, 120)); }

class Replay {
 public:
  void play(const JournalEntry& entry);
  RunFacts take();

 private:
  void run_started(const json& body);
  void benchmark(const json& body);
  void models(const json& body);
  void waivers(const json& body);
  void scan(const json& body);
  void attempt_intent(const json& body);
  void attempt(const json& body);
  void commit_intent(const json& body);
  void commit(const json& body);
  void roll_back(const json& body);
  void rule_outcome(const json& body);

  RuleFacts& rule(const json& body);
  json* find_attempt(RuleFacts& rule, int64_t number);

  RunFacts facts_;
  Time time_;
};

RuleFacts& Replay::rule(const json& body) {
  const std::string id = text_of(body, "rule");
  const auto found = facts_.rule_index.find(id);
  if (found == facts_.rule_index.end()) refuse("the rule ", shown(id), " is not one that the profile selects");
  return facts_.rules[found->second];
}

json* Replay::find_attempt(RuleFacts& rule, int64_t number) {
  for (json& attempt : rule.attempts)
    if (attempt.at("attempt") == number) return &attempt;
  return nullptr;
}

void Replay::run_started(const json& body) { facts_.started = body; }

void Replay::benchmark(const json& body) {
  if (!facts_.benchmark.is_null()) refuse("a second benchmark");
  facts_.benchmark = body;
  facts_.benchmark.erase("rules");
  for (const json& info : body.at("rules")) {
    const std::string id = text_of(info, "id");
    if (!facts_.rule_index.emplace(id, facts_.rules.size()).second) refuse("the rule ", shown(id), " is listed twice");
    RuleFacts rule;
    rule.info = info;
    facts_.rules.push_back(std::move(rule));
  }
}

void Replay::models(const json& body) {
  for (const json& model : body.at("models")) {
    json copy = model;
    if (!copy.contains("note")) copy["note"] = nullptr;
    facts_.models.push_back(std::move(copy));
  }
  for (const json& prompt : body.at("prompts")) facts_.prompts.push_back(prompt);
}

void Replay::waivers(const json& body) {
  for (const json& waiver : body.at("waivers")) facts_.waivers.push_back(waiver);
}

void Replay::scan(const json& body) {
  const std::string phase = text_of(body, "phase");
  const json& states = body.at("states");
  std::set<std::string> seen;
  // A whole scan that says nothing of a selected rule did not check it; XCCDF has a word for that.
  if (phase == "before")
    for (RuleFacts& rule : facts_.rules) rule.before = "notchecked", rule.evidence_before.clear();
  if (phase == "after")
    for (RuleFacts& rule : facts_.rules) rule.after = "notchecked", rule.evidence_after.clear();
  for (const json& state : states) {
    RuleFacts& scanned = rule(state);
    if (!seen.insert(text_of(state, "rule")).second) refuse("two results for the rule ", shown(text_of(state, "rule")));
    if (phase == "before")
      scanned.before = text_of(state, "result"), scanned.evidence_before = text_of(state, "evidence");
    if (phase == "after") scanned.after = text_of(state, "result"), scanned.evidence_after = text_of(state, "evidence");
  }
  if (phase == "before") facts_.scanned_before = true;
  if (phase == "after") facts_.scanned_after = true, facts_.changed_since_scan = false;
  facts_.scans.push_back({{"phase", phase},
                          {"seconds", body.at("seconds")},
                          {"rules", states.size()},
                          {"time", format_time(time_)},
                          {"xccdf_digest", value_or_null(body, "xccdf_digest")}});
}

void Replay::attempt_intent(const json& body) {
  RuleFacts& tried = rule(body);
  const int64_t number = body.at("attempt").get<int64_t>();
  if (find_attempt(tried, number) != nullptr)
    refuse("attempt ", number, " at ", shown(text_of(body, "rule")), " begins twice");
  if (body.at("origin") == "model" && facts_.models.empty()) refuse("a model's attempt in a run that names no model");
  tried.attempts.push_back({{"attempt", number},
                            {"origin", body.at("origin")},
                            {"script", body.at("script")},
                            {"script_digest", body.at("script_digest")},
                            {"started", format_time(time_)},
                            {"outcome", nullptr},
                            {"reason", "the journal ends before this attempt did"},
                            {"refused_by", nullptr},
                            {"exit_code", nullptr},
                            {"output", ""},
                            {"result", nullptr},
                            {"evidence", ""},
                            {"changes", json::array()},
                            {"seconds", nullptr},
                            {"plan", nullptr},
                            {"lesson", nullptr}});
}

void Replay::attempt(const json& body) {
  RuleFacts& tried = rule(body);
  const int64_t number = body.at("attempt").get<int64_t>();
  json* attempt = find_attempt(tried, number);
  if (attempt == nullptr || attempt->at("origin") != body.at("origin"))
    refuse("attempt ", number, " at ", shown(text_of(body, "rule")), " has an outcome but no intent before it");
  if (!attempt->at("outcome").is_null())
    refuse("attempt ", number, " at ", shown(text_of(body, "rule")), " ends twice");
  for (const char* key : {"outcome", "reason", "output", "evidence", "changes", "seconds"})
    (*attempt)[key] = body.at(key);
  for (const char* key : {"refused_by", "exit_code", "result", "plan", "lesson"})
    (*attempt)[key] = value_or_null(body, key);
}

void Replay::commit_intent(const json& body) {
  RuleFacts& committed = rule(body);
  const std::string id = text_of(body, "commit_id");
  const json* attempt = find_attempt(committed, body.at("attempt").get<int64_t>());
  if (attempt == nullptr || attempt->at("outcome") != "passed" || attempt->at("origin") != body.at("origin"))
    refuse("the commit ", shown(id), " is of an attempt that did not pass");
  CommitFacts commit;
  commit.rule = text_of(body, "rule");
  commit.attempt = body.at("attempt").get<int64_t>();
  commit.origin = text_of(body, "origin");
  commit.outcome = "interrupted";
  commit.reason = "the journal ends before this commit did";
  commit.changes = body.at("changes");
  commit.time = time_;
  if (!facts_.commits.emplace(id, std::move(commit)).second) refuse("the commit ", shown(id), " begins twice");
  facts_.commit_order.push_back(id);
}

void Replay::commit(const json& body) {
  rule(body);
  const std::string id = text_of(body, "commit_id");
  const auto found = facts_.commits.find(id);
  if (found == facts_.commits.end() || found->second.rule != text_of(body, "rule"))
    refuse("the commit ", shown(id), " has an outcome but no intent before it");
  CommitFacts& commit = found->second;
  if (commit.outcome != "interrupted") refuse("the commit ", shown(id), " ends twice");
  commit.outcome = text_of(body, "outcome");
  commit.reason = text_of(body, "reason");
  commit.result = value_or_null(body, "result");
  if (commit.outcome != "conflict") facts_.changed_since_scan = true;
}

void Replay::roll_back(const json& body) {
  const std::string id = text_of(body, "commit_id");
  facts_.changed_since_scan = true;
  const auto found = facts_.commits.find(id);
  if (found != facts_.commits.end()) {
    found->second.outcome = "rolled_back";
    found->second.reason = text_of(body, "reason");
  }
  // A commit that is not of this run: `gf-run roll-back` has a journal of its own.
  facts_.roll_backs.push_back({{"commit_id", id},
                               {"rule", value_or_null(body, "rule")},
                               {"reason", body.at("reason")},
                               {"time", format_time(time_)}});
}

void Replay::rule_outcome(const json& body) { rule(body).outcome = body; }

void Replay::play(const JournalEntry& entry) {
  check_body(entry.type, entry.body);
  time_ = entry.time;
  const json& body = entry.body;
  if ((facts_.entries == 0) != (entry.type == "run_started")) refuse("a run begins with run_started, and only once");
  if (!facts_.finished.is_null()) refuse("nothing may follow run_finished");
  if (entry.type == "run_started") run_started(body);
  if (entry.type == "benchmark") benchmark(body);
  if (entry.type == "models") models(body);
  if (entry.type == "waivers") waivers(body);
  if (entry.type == "scan") scan(body);
  if (entry.type == "attempt_intent") attempt_intent(body);
  if (entry.type == "attempt") attempt(body);
  if (entry.type == "commit_intent") commit_intent(body);
  if (entry.type == "commit") commit(body);
  if (entry.type == "roll_back") roll_back(body);
  if (entry.type == "rule_outcome") rule_outcome(body);
  if (entry.type == "recovered")
    facts_.recovered.push_back({{"what", body.at("what")},
                                {"commit_id", value_or_null(body, "commit_id")},
                                {"rule", value_or_null(body, "rule")}});
  if (entry.type == "note") facts_.notes.push_back(body.at("text"));
  if (entry.type == "run_finished") facts_.finished = body;
  ++facts_.entries;
  facts_.head = entry.digest;
  facts_.last_time = entry.time;
}

RunFacts Replay::take() {
  const bool complete = !facts_.finished.is_null() && facts_.finished.at("status") == "complete";
  if (complete && facts_.started.at("mode") == "apply") {
    if (!facts_.scanned_before || !facts_.scanned_after)
      refuse("a complete apply run scans the target before and after; this one did not");
    if (facts_.changed_since_scan)
      refuse("the target was changed after its last scan, in a run that calls itself complete");
  }
  return std::move(facts_);
}

}  // namespace

RunFacts replay(const std::vector<JournalEntry>& entries) {
  if (entries.empty()) throw Error(Code::corrupt, "the journal has no entry");
  Replay replay;
  for (const JournalEntry& entry : entries) {
    try {
      replay.play(entry);
    } catch (const Error& error) {
      throw Error(Code::corrupt, "journal entry ", entry.seq, " (", printable(shortened(entry.type, 40)),
                  "): ", error.message());
    }
  }
  return replay.take();
}

}  // namespace gf
