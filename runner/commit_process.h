// Entry point "commit": the process that brings one approved change set to the target. It outlives
// gf-run: what it began it finishes or undoes.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "kernels/base/fd.h"

namespace gf {

class Channel;

// Called at every point where a power cut would leave something different behind. The program
// passes none; the crash tests pass one that ends the process at the n-th call.
using CommitHook = std::function<void(std::string_view step)>;

int commit_main(Channel& channel, const nlohmann::json& request, std::vector<Fd>& fds);
int commit_main(Channel& channel, const nlohmann::json& request, std::vector<Fd>& fds, const CommitHook& hook);

}  // namespace gf
