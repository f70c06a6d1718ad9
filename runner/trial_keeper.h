// Entry point "trial": the process that holds one trial's namespaces and mounts, and starts the
// scripts in them. runner/trial.cpp has the other side.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "kernels/base/fd.h"

namespace gf {

class Channel;

int trial_main(Channel& channel, const nlohmann::json& request, std::vector<Fd>& fds);

}  // namespace gf
