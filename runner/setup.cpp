// Setup: reading and verifying, in the order of trust.
#include "runner/setup.h"

#include <algorithm>

#include "kernels/base/error.h"
#include "kernels/base/fd.h"

namespace gf {
namespace {

constexpr uint64_t kMaxTrustBytes = uint64_t{4} << 20;

// As the target sees it: "/etc/x" for TARGET/etc/x; nothing if it lies outside.
std::optional<std::string> inside_target(const Job& job, const std::filesystem::path& path) {
  if (job.target_kind == TargetKind::host) return path.native();
  const std::string below = job.target.native() + "/";
  if (!path.native().starts_with(below)) return std::nullopt;
  return path.native().substr(below.size() - 1);
}

std::vector<std::string> protected_paths(const Job& job) {
  // In any target: an installed gf-run that is not the one running now is protected as well.
  std::vector<std::string> paths = {"/usr/bin/gf-run",
                                    "/usr/bin/gf-bundle",
                                    "/usr/bin/gf-report",
                                    "/usr/libexec/gf-run",
                                    "/etc/gf-run",
                                    "/var/lib/gf-run",
                                    "/var/log/gf-run",
                                    "/usr/lib/systemd/system/gf-run.service",
                                    "/usr/lib/systemd/system/gf-run.timer",
                                    "/etc/systemd/system/gf-run.service",
                                    "/etc/systemd/system/gf-run.timer",
                                    "/etc/cron.d/gf-run"};
  for (const std::filesystem::path& own : own_paths(job))
    if (const auto path = inside_target(job, own)) paths.push_back(*path);
  return paths;
}

Mode narrowed(const Job& job, std::optional<Mode> asked) {
  if (!asked) return job.mode;
  if (static_cast<int>(*asked) > static_cast<int>(job.mode))
    throw Error(Code::usage, "the command asks for ", mode_name(*asked), ", and ", job.file.native(), " allows ",
                mode_name(job.mode), " at most");
  return *asked;
}

}  // namespace

std::vector<std::filesystem::path> own_paths(const Job& job) {
  std::vector<std::filesystem::path> paths = {
      job.file, job.state, job.output, job.trust, job.policy, job.report_key, job.report_certificate};
  for (const Job::BundleReference& bundle : job.bundles) paths.push_back(bundle.path);
  std::error_code ignored;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  if (!program.empty()) paths.push_back(program);
  return paths;
}

TargetConfig target_config(const Job& job) {
  TargetConfig config;
  config.kind = job.target_kind == TargetKind::host ? TargetConfig::Kind::host : TargetConfig::Kind::root;
  config.path = job.target;
  config.state_folder = job.state;
  config.upper_limit_bytes = static_cast<uint64_t>(job.trial_memory_mib) << 20;
  config.hidden = {job.state, job.output, job.report_key.parent_path()};
  config.protected_paths = own_paths(job);
  return config;
}

Setup Setup::prepare(const std::filesystem::path& job_toml, std::optional<Mode> mode) {
  Setup setup;
  setup.job = Job::read(job_toml);
  setup.job.mode = narrowed(setup.job, mode);
  setup.trust = Trust::read(setup.job.trust);
  setup.trust_digest = sha384(read_text_file(setup.job.trust, kMaxTrustBytes));
  setup.host_policy = Policy::read(setup.job.policy);
  setup.bundles = BundleSet::open(setup.job, setup.trust, system_time());
  const BundleSet::Found manifest = setup.bundles.only(Kind::job);
  setup.manifest = JobManifest::parse(BundleSet::text(manifest), manifest.file->name);
  setup.signed_policy = Policy::none();
  if (setup.manifest.policy) {
    const BundleSet::Found policy = setup.bundles.find(Kind::policy, *setup.manifest.policy);
    setup.signed_policy = Policy::parse(BundleSet::text(policy), policy.file->name, "/");
  }
  const std::vector<Mode>& modes = setup.manifest.modes;
  if (std::find(modes.begin(), modes.end(), setup.job.mode) == modes.end())
    throw Error(Code::forbidden, "the signed job manifest ", manifest.file->name, " does not allow the mode ",
                mode_name(setup.job.mode));
  setup.gate =
      std::make_unique<Gate>(setup.host_policy, setup.signed_policy, protected_paths(setup.job), setup.job.mode);
  if (const auto refusal = setup.gate->refusal_of_mode())
    throw Error(Code::forbidden, refusal->rule, ": ", refusal->reason);
  setup.limits = setup.gate->script_limits();
  setup.limits.seconds = std::min(setup.limits.seconds, static_cast<int>(setup.manifest.script_seconds));
  return setup;
}

}  // namespace gf
