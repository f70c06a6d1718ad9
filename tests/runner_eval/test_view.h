// A root to evaluate, without the trial keeper: an overlay over a folder in namespaces of its own, with proc,
// sys, run and dev as an evaluation needs them. Needs root.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "runner/launcher.h"
#include "runner/root_view.h"

namespace gf::test {

// The launcher entry {"view", view_main}.
int view_main(Channel& channel, const nlohmann::json& request, std::vector<Fd>& fds);

class TestView {
 public:
  TestView(Launcher& launcher, const std::string& folder);
  [[nodiscard]] const RootView& view() const { return view_; }
  // Writes a file of the root, as seen inside; the folder itself stays as it is.
  void write(const std::string& path, const std::string& text, unsigned mode = 0644);
  void remove(const std::string& path);

 private:
  Child keeper_;
  RootView view_;
};

}  // namespace gf::test
