// Everything a command needs before it begins: the job, whom to trust, the verified bundles, the signed
// manifest, the gate. Nothing here writes, locks or changes anything.
#pragma once

#include <memory>
#include <vector>

#include "bundles/trust.h"
#include "policy/gate.h"
#include "runner/bundle_set.h"
#include "runner/job.h"
#include "runner/job_manifest.h"
#include "runner/target.h"

namespace gf {

struct Setup {
  Job job;
  Trust trust;
  Digest trust_digest;
  BundleSet bundles;
  JobManifest manifest;
  Policy host_policy;
  Policy signed_policy;
  std::unique_ptr<Gate> gate;
  ScriptLimits limits;

  // `mode` replaces the job's where it asks for less; asking for more is Code::usage. Throws Code::forbidden
  // if the signed manifest or a policy does not allow the mode, and what opening bundles throws.
  static Setup prepare(const std::filesystem::path& job_toml, std::optional<Mode> mode);
};

TargetConfig target_config(const Job& job);

// Paths of this machine that belong to gf-run: programs, configuration, state, keys, units.
std::vector<std::filesystem::path> own_paths(const Job& job);

}  // namespace gf
