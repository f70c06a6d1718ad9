// The payload's shape. It is a pax tar whose framing (headers, padding, end) is a function of the
// manifest alone: a verifier writes the same framing again and compares. FORMAT.md, "Payload".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bundles/manifest.h"

namespace gf {

// Sets every file's offset and the payload's size from names and sizes.
void lay_out(Manifest& manifest);

// The framing bytes in front of file `index`; with index == files.size(), those after the last.
struct Framing {
  uint64_t offset = 0;  // in the payload
  std::string bytes;
};
Framing framing_before(const Manifest& manifest, size_t index);

// The payload cut into chunks: a file begins and ends a chunk, and so does each framing.
struct Chunk {
  uint64_t offset = 0;  // in the payload
  uint64_t size = 0;    // 1 to kChunkBytes
};
struct ChunkMap {
  std::vector<Chunk> chunks;
  std::vector<std::pair<size_t, size_t>> of_file;  // [first, last + 1) in chunks, by file
};
uint64_t chunk_count(const Manifest& manifest);
ChunkMap cut_into_chunks(const Manifest& manifest);

}  // namespace gf
