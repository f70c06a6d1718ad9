// --dry-run: what a run would do, from verified bundles, and nothing done.
#include <algorithm>
#include <cstdio>
#include <map>

#include "kernels/base/text.h"
#include "policy/named_paths.h"
#include "runner/evaluator.h"
#include "runner/models.h"
#include "runner/run_job.h"
#include "runner/setup.h"

namespace gf {
namespace {

void show_bundles(const Setup& setup) {
  std::puts("Bundles (verified):");
  for (const Bundle& bundle : setup.bundles.bundles()) {
    uint64_t bytes = 0;
    for (const FileEntry& file : bundle.manifest().files) bytes += file.size;
    std::printf("  %s\n    stream %s, version %llu, %zu files, %llu bytes, digest %s\n",
                printable(bundle.path().native()).c_str(), printable(bundle.manifest().stream).c_str(),
                static_cast<unsigned long long>(bundle.manifest().version), bundle.manifest().files.size(),
                static_cast<unsigned long long>(bytes), bundle.digest().hex().c_str());
    for (const SignerIdentity& signer : bundle.signers())
      std::printf("    signed by %s\n", printable(signer.subject).c_str());
  }
}

std::string refusal_of(const Setup& setup, const RuleInfo& rule) {
  std::vector<std::string> named = rule.read_paths;
  const auto judged = setup.gate->approve(Proposal{rule.id, Origin::vetted, "bash", rule.bash_fix->script, named});
  const Refusal* refusal = std::get_if<Refusal>(&judged);
  return refusal == nullptr ? "" : refusal->rule;
}

std::string place_of(const JobManifest& manifest, const std::string& rule) {
  for (const OrderConstraint& order : manifest.order) {
    if (order.rule != rule) continue;
    std::string text = order.last ? ", last" : "";
    for (const std::string& other : order.after) text += ", after " + other;
    return text;
  }
  return "";
}

void show_rules(const Setup& setup, const BenchmarkInfo& benchmark) {
  std::printf("Profile %s (%s), %zu rules, in this order:\n", printable(benchmark.profile_id).c_str(),
              printable(benchmark.profile_title).c_str(), benchmark.rules.size());
  size_t with_fix = 0;
  std::map<std::string, size_t> refused;
  for (const RuleInfo& rule : benchmark.rules) {
    std::string what = "no vetted fix";
    if (rule.bash_fix) {
      ++with_fix;
      const std::string refusal = refusal_of(setup, rule);
      if (!refusal.empty()) ++refused[refusal];
      what = refusal.empty() ? "vetted fix" : "vetted fix, refused by " + refusal;
    }
    std::printf("  %s  %s%s\n", printable(rule.id).c_str(), what.c_str(),
                printable(place_of(setup.manifest, rule.id)).c_str());
  }
  std::printf("%zu rules have a vetted fix.\n", with_fix);
  for (const auto& [refusal, count] : refused)
    std::printf("The policy forbids %zu of them: %s\n", count, printable(refusal).c_str());
}

}  // namespace

int show_plan(const std::filesystem::path& job_toml, const RunOptions& options, Launcher& launcher) {
  const Setup setup = Setup::prepare(job_toml, options.mode);
  std::printf("Plan of %s: mode %s, target %s (%s)\n", printable(setup.job.file.native()).c_str(),
              std::string(mode_name(setup.job.mode)).c_str(), printable(setup.job.target.native()).c_str(),
              std::string(to_text(setup.job.target_kind)).c_str());
  show_bundles(setup);
  std::puts("Models and devices:");
  const std::vector<std::string> models = describe_models(setup.bundles, setup.manifest, setup.job);
  for (const std::string& line : models) std::printf("  %s\n", line.c_str());
  if (models.empty()) std::puts("  none: the signed job gives no roles");
  for (const auto& [kind, role] : setup.manifest.roles)
    std::printf("  %s: model %s, prompt %s, at most %lld new tokens\n", std::string(to_text(kind)).c_str(),
                printable(role.model).c_str(), printable(role.prompt).c_str(),
                static_cast<long long>(role.max_new_tokens));
  const BundleSet::Found content = setup.bundles.find(Kind::scap, setup.manifest.content);
  const Fd memory = BundleSet::memory(content);
  const auto evaluator = Evaluator::start(launcher, memory.get(), content.file->name, setup.manifest.profile);
  show_rules(setup, evaluator->benchmark());
  return 0;
}

}  // namespace gf
