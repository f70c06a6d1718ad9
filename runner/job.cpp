// Reading job.toml.
#include "runner/job.h"

#include <unistd.h>

#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "kernels/base/strict_toml.h"

namespace gf {
namespace {

constexpr uint64_t kMaxJobBytes = uint64_t{1} << 20;

Mode mode_from(const std::string& text) {
  if (text == "apply") return Mode::apply;
  return text == "trial" ? Mode::trial : Mode::scan;
}

void read_target(Job& job, TomlTable target) {
  job.target_kind = target.choice("kind", {"root", "host"}) == "host" ? TargetKind::host : TargetKind::root;
  if (job.target_kind == TargetKind::host) {
    if (target.has("path"))
      throw Error(Code::input, target.where("path"), ": path: a target of kind \"host\" is always /; remove the key");
    job.target = "/";
    return;
  }
  job.target = target.path("path");
  if (job.target == "/")
    throw Error(Code::input, target.where("path"), ": path: / is the host itself; use kind = \"host\"");
}

void read_bundles(Job& job, TomlTable& root) {
  for (TomlTable& table : root.tables_or_none("bundle")) {
    const std::string hex = table.string("digest");
    job.bundles.push_back({table.path("path"), Digest::from_hex(hex, table.where("digest") + ": digest")});
  }
  if (job.bundles.empty())
    throw Error(Code::input, job.file.native(), ": expected at least one [[bundle]] with path and digest, found none");
}

}  // namespace

std::string_view to_text(TargetKind kind) { return kind == TargetKind::root ? "root" : "host"; }

Job Job::read(const std::filesystem::path& file) {
  const std::string text = read_text_file(file, kMaxJobBytes);
  const std::filesystem::path absolute = std::filesystem::absolute(file).lexically_normal();
  TomlTable root = TomlTable::parse(text, file.native(), absolute.parent_path());
  Job job;
  job.file = absolute;
  job.digest = sha384(text);
  job.mode = mode_from(root.choice("mode", {"scan", "trial", "apply"}));
  job.state = root.path("state");
  job.output = root.path("output");
  job.trust = root.path("trust");
  job.policy = root.path("policy");
  job.report_key = root.path("report_key");
  job.report_certificate = root.path("report_certificate");
  for (const std::string& path : root.strings_or_none("report_chain"))
    job.report_chain.push_back((absolute.parent_path() / path).lexically_normal());
  job.time_limit_minutes = root.integer_or("time_limit_minutes", 1, 7 * 24 * 60, 8 * 60);
  job.parallel_trials = root.integer_or("parallel_trials", 1, 64, 2);
  job.trial_memory_mib = root.integer_or("trial_memory_mib", 16, 1 << 20, 2048);
  read_bundles(job, root);
  read_target(job, root.table("target"));
  if (auto device = root.optional_table("device")) {
    device->choice_or("kind", {"cpu"}, "cpu");
    job.threads = device->integer_or("threads", 0, 4096, 0);
  }
  if (auto narrow = root.optional_table("narrow")) {
    job.narrow.rules = narrow->strings_or_none("rules");
    job.narrow.exclude = narrow->strings_or_none("exclude");
    if (narrow->has("model_attempts")) job.narrow.model_attempts = narrow->integer("model_attempts", 0, 1000000);
  }
  root.finish();
  return job;
}

}  // namespace gf
