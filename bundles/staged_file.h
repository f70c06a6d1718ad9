// A file being written under a temporary name, which takes its own name when it is complete.
#pragma once

#include <filesystem>
#include <string>

#include "kernels/base/atomic_file.h"
#include "kernels/base/fd.h"

namespace gf {

class StagedFile {
 public:
  // Beside `path`. Throws Code::io; with Existing::refuse also if `path` is there already.
  StagedFile(const std::filesystem::path& path, Existing existing);
  ~StagedFile();  // removes what was not committed
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;

  [[nodiscard]] const Fd& file() const { return file_; }
  // fsync, rename, fsync of the folder.
  void commit(mode_t mode);

 private:
  std::filesystem::path path_;
  Existing existing_;
  Fd folder_;
  std::string temporary_;
  Fd file_;
};

// Makes `size` bytes of `to` equal to those of `from`: shares blocks where the file system can, else
// copies inside the kernel, else by hand. Offsets must be multiples of 4096.
void copy_range(const Fd& from, uint64_t from_offset, const Fd& to, uint64_t to_offset, uint64_t size,
                std::string_view what);
// True if the blocks are now shared; false if the file system cannot. `size` a multiple of 4096.
bool share_range(const Fd& from, uint64_t from_offset, const Fd& to, uint64_t to_offset, uint64_t size);

}  // namespace gf
