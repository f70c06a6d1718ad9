// job.toml: the host's own file. It names the bundles by path and digest, the target, the folders and
// the report key, and can only narrow what the signed job manifest asks for. runner/JOB.md documents
// every key; a test compares the two.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/digest.h"
#include "policy/origin.h"

namespace gf {

enum class TargetKind { root, host };
std::string_view to_text(TargetKind kind);

struct Job {
  struct BundleReference {
    std::filesystem::path path;
    Digest digest;  // of the bundle's manifest
  };
  // What the host leaves out of the signed job. Empty `rules` means: no restriction.
  struct Narrowing {
    std::vector<std::string> rules;
    std::vector<std::string> exclude;
    std::optional<int64_t> model_attempts;
  };

  std::filesystem::path file;
  Digest digest;  // of the file's bytes
  Mode mode = Mode::scan;
  std::filesystem::path state;
  std::filesystem::path output;
  std::filesystem::path trust;
  std::filesystem::path policy;
  std::filesystem::path report_key;
  std::filesystem::path report_certificate;
  std::vector<std::filesystem::path> report_chain;
  std::vector<BundleReference> bundles;
  TargetKind target_kind = TargetKind::root;
  std::filesystem::path target;
  int64_t time_limit_minutes = 0;
  int64_t parallel_trials = 0;
  int64_t trial_memory_mib = 0;  // size limit of the tmpfs that holds one trial's changes
  int64_t threads = 0;           // of the engine; 0: one for every core
  Narrowing narrow;

  // Throws Code::input with file, line and column, or Code::io.
  static Job read(const std::filesystem::path& file);
};

}  // namespace gf
