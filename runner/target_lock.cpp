// Taking the locks of a run.
#include "runner/target_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "kernels/base/error.h"
#include "runner/safe_path.h"

namespace gf {
namespace {

Fd lock(Fd file, const std::string& what) {
  if (!file) throw system_error(errno, "cannot open the lock of " + what);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
  if (errno != EWOULDBLOCK) throw system_error(errno, "cannot lock " + what);
  throw Error(Code::locked, what, " is in use by another run; nothing was changed; wait for it to end");
}

}  // namespace

std::vector<Fd> lock_for_run(const Fd& state_folder, const Fd& target, const std::filesystem::path& state_path,
                             const std::filesystem::path& target_path) {
  const std::string state = "the state folder " + state_path.native();
  const std::string what = "the target " + target_path.native();
  constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW;
  std::vector<Fd> held;
  held.push_back(lock(try_open_in_root(state_folder, "lock", kFlags, 0600, false), state));
  // On the folder itself: runs with different state folders meet here.
  held.push_back(lock(try_open_in_root(target, "/", O_RDONLY | O_DIRECTORY, 0, false), what));
  // By number: another path, or a bind mount, may lead to the same folder.
  const struct stat status = stat_of(target, what);
  const std::string name = "locks/target-" + std::to_string(status.st_dev) + "-" + std::to_string(status.st_ino);
  held.push_back(lock(try_open_in_root(state_folder, name, kFlags, 0600, false), what));
  return held;
}

}  // namespace gf
