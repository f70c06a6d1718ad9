// selabel_lookup(3) through dlopen.
#include "runner/commit_label.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gf {
namespace {

struct Selinux {
  using Open = void* (*)(unsigned backend, const void* options, unsigned count);
  using Lookup = int (*)(void* handle, char** context, const char* path, int mode);
  using Free = void (*)(char* context);

  Selinux() {
    if (::access("/sys/fs/selinux/enforce", F_OK) != 0) return;
    void* library = ::dlopen("libselinux.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    const auto open = reinterpret_cast<Open>(::dlsym(library, "selabel_open"));
    lookup = reinterpret_cast<Lookup>(::dlsym(library, "selabel_lookup"));
    free = reinterpret_cast<Free>(::dlsym(library, "freecon"));
    if (open != nullptr && lookup != nullptr && free != nullptr) handle = open(0 /* SELABEL_CTX_FILE */, nullptr, 0);
  }

  void* handle = nullptr;
  Lookup lookup = nullptr;
  Free free = nullptr;
};

int format_of(FileType type) {
  switch (type) {
    case FileType::directory: return S_IFDIR;
    case FileType::symlink: return S_IFLNK;
    case FileType::character_device: return S_IFCHR;
    case FileType::block_device: return S_IFBLK;
    case FileType::fifo: return S_IFIFO;
    case FileType::socket: return S_IFSOCK;
    default: return S_IFREG;
  }
}

}  // namespace

std::string label_for_new_file(const std::string& path, FileType type, uint32_t mode) {
  static const Selinux selinux;
  char* context = nullptr;
  if (selinux.handle == nullptr ||
      selinux.lookup(selinux.handle, &context, path.c_str(), format_of(type) | static_cast<int>(mode)) != 0)
    return {};
  // The attribute holds the terminating NUL, too.
  std::string label(context);
  label += '\0';
  selinux.free(context);
  return label;
}

}  // namespace gf
