// Copies programs and what ldd says they need.
#include "tests/support/small_root.h"

#include <sys/stat.h>

#include <fcntl.h>

#include <fstream>
#include <regex>

#include "kernels/base/digest.h"
#include "kernels/base/fd.h"
#include "tests/support/catch.h"
#include "tests/support/process.h"

namespace gf::test {
namespace {

namespace fs = std::filesystem;

void copy_in(const fs::path& root, const fs::path& file) {
  const fs::path to = root / file.relative_path();
  if (fs::exists(to)) return;
  fs::create_directories(to.parent_path());
  fs::copy_file(file, to);  // follows links
}

fs::path find_program(const std::string& name) {
  for (const char* folder : {"/usr/bin", "/bin", "/usr/sbin", "/sbin"})
    if (fs::exists(fs::path(folder) / name)) return fs::path(folder) / name;
  throw Error(Code::unsupported, "this machine has no ", name);
}

void add_program(const fs::path& root, const std::string& name) {
  const fs::path program = find_program(name);
  const fs::path to = root / "usr/bin" / name;
  fs::copy_file(program, to, fs::copy_options::skip_existing);
  const std::string needed = must_run({"ldd", program.native()});
  const std::regex library("(/[^ ]+) \\(0x");
  for (auto it = std::sregex_iterator(needed.begin(), needed.end(), library); it != std::sregex_iterator(); ++it)
    copy_in(root, (*it)[1].str());
}

void write(const fs::path& file, const std::string& text, fs::perms mode) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text;
  fs::permissions(file, mode);
}

}  // namespace

void make_small_root(const fs::path& root) {
  for (const char* folder :
       {"usr/bin", "usr/lib", "usr/lib64", "etc", "proc", "sys", "dev", "run", "tmp", "var/tmp", "root"})
    fs::create_directories(root / folder);
  for (const char* link : {"bin", "lib", "lib64"})
    fs::create_directory_symlink(std::string("usr/") + link, root / link);
  fs::create_directory_symlink("usr/bin", root / "sbin");
  for (const char* program : {"bash", "sh", "sed", "chmod", "chown", "mkdir", "rm", "cat", "cp", "mv", "ln", "grep",
                              "touch", "sleep", "true", "setsid"})
    add_program(root, program);
  const auto readable = static_cast<fs::perms>(0644);
  write(root / "etc/passwd", "root:x:0:0:root:/root:/bin/bash\n", readable);
  write(root / "etc/group", "root:x:0:\n", readable);
  write(root / "etc/motd", "welcome\n", readable);
  write(root / "etc/app.conf", "colour=blue\npassword=no\n", readable);
  write(root / "etc/other.conf", "y=2\n", readable);
  write(root / "etc/secret", "do not read\n", readable);
}

std::map<std::string, std::string> snapshot(const fs::path& root) {
  std::map<std::string, std::string> entries;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    struct stat status {};
    if (::lstat(entry.path().c_str(), &status) != 0) throw system_error(errno, entry.path().native());
    std::string text = std::to_string(status.st_mode) + " " + std::to_string(status.st_uid) + ":" +
                       std::to_string(status.st_gid) + " ";
    if (S_ISREG(status.st_mode)) text += sha384_of_file(open_file(entry.path(), O_RDONLY), entry.path().native()).hex();
    if (S_ISLNK(status.st_mode)) text += fs::read_symlink(entry.path()).native();
    entries["/" + fs::relative(entry.path(), root).native()] = text;
  }
  return entries;
}

}  // namespace gf::test
