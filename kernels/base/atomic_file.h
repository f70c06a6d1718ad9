// Files that appear whole or not at all, also after a power cut.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "kernels/base/fd.h"

namespace gf {

enum class Existing { replace, refuse };

// Writes `name` (one path component) in the open folder: a temporary file, fsync, rename, fsync of
// the folder. Existing::refuse throws Code::io if the name is taken. On any error the temporary
// file is removed and the old file is untouched.
void write_atomically(const Fd& folder, std::string_view name, std::span<const std::byte> bytes, mode_t mode,
                      Existing existing = Existing::replace);
void write_atomically(const std::filesystem::path& path, std::string_view text, mode_t mode = 0644,
                      Existing existing = Existing::replace);

// Creates missing folders (mode) and syncs each parent.
void make_folders(const std::filesystem::path& path, mode_t mode = 0755);

}  // namespace gf
