// Making bundles: from m.toml to an unsigned file, and adding signatures to it. FORMAT.md, "Making
// a bundle", describes m.toml key by key.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "bundles/bundle.h"
#include "bundles/manifest.h"
#include "kernels/base/atomic_file.h"

namespace gf {

struct CreatePlan {
  Manifest manifest;                           // sizes, offsets and names; digests still zero
  std::vector<std::filesystem::path> sources;  // of manifest.files, in order
};

// The kind of a file of a Hugging Face checkpoint by its name; Kind::other if nothing here uses it.
Kind kind_of_checkpoint_file(std::string_view name);

// `now` is the time of creation where neither m.toml nor SOURCE_DATE_EPOCH gives one. Throws Code::input.
CreatePlan read_create_manifest(const std::filesystem::path& m_toml, Time now);

// Writes the unsigned bundle, whole or not at all, and returns its digest. The same plan over the
// same bytes gives the same file. Throws Code::io, no_space, input if a source changes meanwhile.
Digest create_bundle(const CreatePlan& plan, const std::filesystem::path& out, Existing existing,
                     const Progress& progress = {});

// A bundle's regions in front of the payload, checked for form but not for trust.
struct UnverifiedBundle {
  Fd file;
  uint64_t payload_offset = 0;  // in the file
  std::string manifest_bytes;
  std::vector<std::vector<std::byte>> signatures;
  std::vector<std::byte> table;
  Manifest manifest;  // its table digest was checked
};
// For inspect and sign. Throws Code::corrupt.
UnverifiedBundle read_unverified(const std::filesystem::path& path);

// Adds one signature; the file is replaced whole. Refuses a key that has signed already (Code::input).
// The payload's blocks are shared with the old file where the file system can.
void sign_bundle(const std::filesystem::path& path, const std::filesystem::path& key_pem,
                 const std::filesystem::path& cert_pem, const std::vector<std::filesystem::path>& chain_pem);

}  // namespace gf
