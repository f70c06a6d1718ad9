// Where an evaluation looks: the namespaces of one trial and the root of its merged tree.
#pragma once

#include "kernels/base/fd.h"

namespace gf {

struct RootView {
  Fd mount_ns;
  Fd pid_ns;
  Fd net_ns;
  Fd ipc_ns;
  Fd uts_ns;
  Fd root;  // O_PATH, the merged root inside mount_ns

  [[nodiscard]] RootView duplicate() const;
};

// In a single-threaded child: enters the namespaces and makes the merged root the root and the
// current folder. The pid namespace counts for children only, so the caller forks once more before
// it evaluates. There is no way back. Throws Code::io.
void enter_root_view(const RootView& view);

}  // namespace gf
