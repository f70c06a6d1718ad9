// What gf-run holds of a trial; shared by runner/trial.cpp and runner/target.cpp.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runner/launcher.h"
#include "runner/overlay.h"
#include "runner/target.h"

namespace gf {

struct Trial::State {
  State(Child started, std::shared_ptr<const Fd> target) : target_root(std::move(target)), keeper(std::move(started)) {}

  std::shared_ptr<const Fd> target_root;
  Child keeper;  // before the descriptors below: they go first, so that its end frees the memory
  RootView view;
  std::shared_ptr<const Fd> root;  // of the merged tree; shared with the readers of change sets
  std::vector<UpperLayer> uppers;
  int64_t since_ns = 0;

  // Of the last changes().
  std::optional<ChangeSet> last;
  std::vector<std::string> left_behind;
  std::map<std::string, std::string> moved;
  std::map<std::string, uint64_t> linked;

  // Waits for the keeper's namespaces. Throws what the keeper sent.
  void receive_tree();
};

}  // namespace gf
