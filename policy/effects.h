// Which dangerous classes one change belongs to, whatever the script looked like that made it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/change_set.h"

namespace gf {

// setuid, setgid, file_capabilities, ld_so_preload, authorized_keys, sudoers, cron, systemd_units,
// uid0_account, device_node, system_program, unnamed_path, unnamed_tightening.
bool is_effect_class(std::string_view name);

struct Effect {
  std::string of_class;
  std::string detail;  // for the refusal: "is now setuid (mode 4755)"
};

// Every class but the two unnamed ones, which depend on the rule.
std::vector<Effect> effects_of(const Change& change, const ChangeSet& change_set);

// True if nothing but metadata changed, and only so that fewer may do less: mode bits removed,
// owner or group set to root. Such a change gives nobody anything.
bool only_narrows(const Change& change);

}  // namespace gf
