// What the commands of gf-run do. Each returns the exit status; a table of them is in runner/JOB.md.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "runner/job.h"

namespace gf {

class Launcher;

enum class AfterFindings { succeed, fail };  // --fail-on-findings

struct RunOptions {
  std::optional<Mode> mode;  // of the command line; narrows the job's
  AfterFindings findings = AfterFindings::succeed;
};

// The main job: verify, scan, remediate, report.
int run_job(const std::filesystem::path& job_toml, const RunOptions& options, Launcher& launcher);

// Says what a run would do, and does nothing: no lock, no state, no trial. Writes to standard output.
int show_plan(const std::filesystem::path& job_toml, const RunOptions& options, Launcher& launcher);

// Brings an interrupted commit to exactly before or after, and says which.
int recover(const std::filesystem::path& job_toml, Launcher& launcher);

// Puts back what a run changed, newest commit first.
int roll_back_run(const std::filesystem::path& job_toml, const std::string& run_id, Launcher& launcher);

}  // namespace gf
