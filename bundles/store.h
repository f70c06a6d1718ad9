// A folder of verified files, each under its identity. An entry appears whole or not at all, and
// records the kinds of content that it was accepted as. FORMAT.md, "The store".
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bundles/bundle.h"
#include "kernels/base/fd.h"

namespace gf {

struct StoredFile {
  Digest identity;
  Digest sha384;
  uint64_t size = 0;
  std::vector<Kind> kinds;
};

struct UnpackResult {
  std::vector<StoredFile> files;  // in the bundle's order
  uint64_t bytes_shared = 0;      // cloned from the bundle's blocks
  uint64_t bytes_copied = 0;
  uint64_t bytes_present = 0;  // of files that the store already had
};

class Store {
 public:
  // Creates the folder (mode 0755) if it is missing.
  static Store create_or_open(const std::filesystem::path& folder);
  // Throws Code::io if there is none.
  static Store open(const std::filesystem::path& folder);

  // Steps 7 and 8 in the pass that stores the bytes, each chunk hashed as it will be stored, plain
  // digests included; nothing becomes visible before all of the bundle is verified. Leftovers of an
  // interrupted unpack are removed first. The caller calls accept() afterwards.
  UnpackResult unpack(const Bundle& bundle, const Progress& progress = {}) const;

  // The bytes accepted as `kind`, for reading. Throws Code::input if the store has no such entry,
  // Code::forbidden if it was not accepted as that kind, Code::corrupt if its size differs.
  [[nodiscard]] Fd file(const Digest& identity, Kind kind) const;
  // The same for mapping in place: Code::forbidden unless root alone can write the file and every
  // folder above it.
  [[nodiscard]] Fd mappable_file(const Digest& identity, Kind kind) const;
  [[nodiscard]] StoredFile entry(const Digest& identity) const;
  // Names to identities of an unpacked bundle. Throws Code::input if it was never unpacked here.
  [[nodiscard]] std::map<std::string, Digest> names_of(const Digest& bundle) const;

 private:
  Store(std::filesystem::path folder, Fd root);
  std::filesystem::path path_;
  Fd root_;
};

}  // namespace gf
