// Runs one program in a trial's tree: a pid and mount namespace of its own, the sandbox of
// policy/sandbox.h, bounded output, bounded time, and nothing left running afterwards.
#pragma once

#include <string>
#include <vector>

#include "policy/script_limits.h"
#include "runner/overlay.h"

namespace gf {

struct SandboxRun {
  std::vector<std::string> argv;  // "{script}" stands for the script's file
  std::string script;             // written to a file in /run; empty: none
  ScriptLimits limits;
};

struct SandboxOutcome {
  int exit_code = 0;
  bool timed_out = false;
  std::string output;
  bool output_cut = false;
  double seconds = 0;
};

// Called by the keeper, whose root is the trial's tree. Throws Code::io and Code::unsupported where
// the program could not be started as it must be; then nothing ran.
SandboxOutcome run_in_sandbox(const SandboxRun& run, const std::vector<RunFolder>& run_folders);

// fork() into a new pid namespace, and further namespaces of clone(2)'s flags. For a single thread.
int fork_with(unsigned long namespaces);

}  // namespace gf
