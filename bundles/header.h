// The fixed first block of a bundle: where every other region lies. FORMAT.md, "Header".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bundles/limits.h"

namespace gf {

struct Region {
  uint64_t offset = 0;  // from the start of the file
  uint64_t size = 0;    // bytes, without the zeros up to the next multiple of kBlockBytes
};

struct Header {
  Region manifest;
  std::vector<Region> signatures;
  Region table;
  Region payload;
  uint64_t file_size = 0;

  // The regions one after another, each on a block of its own.
  static Header tiling(uint64_t manifest_size, std::span<const uint64_t> signature_sizes, uint64_t table_size,
                       uint64_t payload_size);
};

inline constexpr size_t kHeaderBytes = kBlockBytes;

// Smallest multiple of `unit` that is not below `size`.
constexpr uint64_t rounded_up(uint64_t size, uint64_t unit = kBlockBytes) { return (size + unit - 1) / unit * unit; }

std::array<std::byte, kHeaderBytes> encode_header(const Header& header);
// Step 1. Throws Code::corrupt; sizes are checked against their caps before they are added up.
Header decode_header(std::span<const std::byte> bytes, uint64_t file_size);

}  // namespace gf
