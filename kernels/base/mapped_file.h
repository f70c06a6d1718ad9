// A read-only mapping of a file or a sealed memfd.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "kernels/base/fd.h"

namespace gf {

class MappedFile {
 public:
  MappedFile() = default;
  // Maps the whole file. Throws Code::io. The caller vouches that nobody can write to the file
  // while it is mapped (sealed memory, or a store file that root alone can write).
  explicit MappedFile(const Fd& fd, std::string_view what);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  void unmap();
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace gf
