// Files that well-known commands write without being told their names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/script_text.h"

namespace gf {

struct CommandFiles {
  std::string_view command;
  std::vector<std::string_view> paths;
};
// POLICY.md shows this table; a test compares the two.
const std::vector<CommandFiles>& command_files();

// The files of every command of the table that one line of a script calls; for systemctl those of
// the units that it names.
std::vector<std::string> files_written_by_commands_in(std::string_view line,
                                                      const std::vector<ScriptVariable>& variables);

}  // namespace gf
