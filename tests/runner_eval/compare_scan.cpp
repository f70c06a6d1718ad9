// compare-scan ROOT CONTENT PROFILE [STOCK-RESULTS.xml]: evaluates ROOT whole and rule by rule, and says where
// the answers differ, from each other and from those of the stock oscap command. Exit 1 if they do. Prints
// load time, time a rule, and memory. Needs root; not part of the tests, since it needs a real root.
#include <sys/resource.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <regex>
#include <thread>

#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "runner/evaluator.h"
#include "tests/runner_eval/test_view.h"

namespace {

using namespace gf;

constexpr std::array kEntries = {EntryPoint{"view", test::view_main}, EntryPoint{"evaluator", evaluator_main}};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::map<std::string, std::string> stock_results(const char* path) {
  const std::string text = read_text_file(path, uint64_t{1} << 30);
  std::map<std::string, std::string> results;
  for (size_t at = 0; (at = text.find("<rule-result ", at)) != std::string::npos;) {
    const size_t id = text.find("idref=\"", at) + 7;
    const size_t result = text.find("<result>", at) + 8;
    results[text.substr(id, text.find('"', id) - id)] = text.substr(result, text.find('<', result) - result);
    at = result;
  }
  return results;
}

int differences(const char* what, const std::vector<RuleState>& states,
                const std::map<std::string, std::string>& expected) {
  int count = 0;
  for (const RuleState& state : states) {
    const auto other = expected.find(state.rule_id);
    const std::string word = other == expected.end() ? "(nothing)" : other->second;
    if (word == to_text(state.result)) continue;
    std::printf("DIFFERS from %s: %s: %s, there %s\n%s", what, state.rule_id.c_str(),
                std::string(to_text(state.result)).c_str(), word.c_str(), state.evidence.c_str());
    ++count;
  }
  std::printf("%s: %zu rules, %d differ\n", what, states.size(), count);
  return count;
}

int run(int count, char** words) {
  const auto launcher = Launcher::start(kEntries);
  const std::vector<std::byte> bytes = read_file(words[2], uint64_t{1} << 30);
  const Fd content = sealed_memory("content", bytes);
  auto start = std::chrono::steady_clock::now();
  const auto evaluator = Evaluator::start(*launcher, content.get(), words[2], words[3]);
  std::printf("load %.2f s, %zu rules\n", seconds_since(start), evaluator->benchmark().rules.size());
  const test::TestView view(*launcher, words[1]);

  start = std::chrono::steady_clock::now();
  std::vector<std::byte> document;
  const std::vector<RuleState> whole = evaluator->scan(view.view(), &document);
  std::printf("scan %.2f s, document %zu bytes\n", seconds_since(start), document.size());
  std::map<std::string, std::string> by_scan, totals;
  for (const RuleState& state : whole) by_scan[state.rule_id] = to_text(state.result);
  std::map<XccdfResult, int> histogram;
  for (const RuleState& state : whole) ++histogram[state.result];
  for (const auto& [result, number] : histogram) std::printf("  %s %d\n", std::string(to_text(result)).c_str(), number);

  int differing = 0;
  if (count > 4) differing += differences("stock oscap", whole, stock_results(words[4]));
  start = std::chrono::steady_clock::now();
  std::vector<RuleState> alone;
  double slowest = 0;
  std::string slowest_rule;
  for (const RuleState& state : whole) {
    const auto rule_start = std::chrono::steady_clock::now();
    alone.push_back(evaluator->check(view.view(), {state.rule_id}).at(0));
    if (const double took = seconds_since(rule_start); took > slowest) slowest = took, slowest_rule = state.rule_id;
  }
  const double took = seconds_since(start);
  std::printf("alone %.2f s, %.1f ms a rule, slowest %.0f ms %s\n", took, 1000 * took / double(whole.size()),
              1000 * slowest, slowest_rule.c_str());
  differing += differences("the whole scan", alone, by_scan);

  start = std::chrono::steady_clock::now();
  std::vector<RuleState> first, second;
  std::thread one([&] { first = evaluator->scan(view.view()); });
  std::thread two([&] { second = evaluator->scan(view.view()); });
  one.join();
  two.join();
  std::printf("two scans at once %.2f s\n", seconds_since(start));
  differing += differences("the whole scan (first of two)", first, by_scan);
  differing += differences("the whole scan (second of two)", second, by_scan);
  if (const char* path = std::getenv("GF_STATES")) {
    std::ofstream file(path);
    for (const RuleState& state : whole)
      file << state.rule_id << " " << to_text(state.result) << "\n" << state.evidence << "\n";
    for (const RuleInfo& rule : evaluator->benchmark().rules) {
      file << "RULE " << rule.id << " " << rule.severity << " " << rule.stig_id << " " << rule.walks_file_system
           << "\n";
      for (const std::string& read : rule.read_paths) file << "  reads " << read << "\n";
      file << "  title " << rule.title << "\n  check " << rule.check_text << "\n  description " << rule.description
           << "\n";
    }
  }
  if (const char* folder = std::getenv("GF_FIXES")) {
    for (const RuleInfo& rule : evaluator->benchmark().rules)
      if (rule.bash_fix) std::ofstream(std::string(folder) + "/" + rule.id) << rule.bash_fix->script;
  }
  return differing == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
  if (count < 4) {
    std::fprintf(stderr, "usage: compare-scan ROOT CONTENT PROFILE [STOCK-RESULTS.xml]\n");
    return 10;
  }
  try {
    return run(count, words);
  } catch (const gf::Error& error) {
    std::fprintf(stderr, "compare-scan: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
