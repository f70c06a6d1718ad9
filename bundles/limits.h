// Every size that is refused before it is read or allocated. FORMAT.md, "Limits", has the same table.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gf {

inline constexpr uint64_t kBlockBytes = 4096;      // regions and files begin on multiples of it
inline constexpr uint64_t kChunkBytes = 4U << 20;  // the largest chunk
inline constexpr uint64_t kMaxManifestBytes = 4U << 20;
inline constexpr uint64_t kMaxSignatureBytes = 64U << 10;
inline constexpr size_t kMaxSignatures = 16;
inline constexpr uint64_t kMaxTableBytes = 64U << 20;
inline constexpr uint64_t kMaxPayloadBytes = uint64_t{1} << 43;  // 8 TiB; what a full table can describe is less
inline constexpr size_t kMaxNameBytes = 1024;
inline constexpr size_t kMaxNamePartBytes = 255;
inline constexpr size_t kMaxStreamBytes = 64;
inline constexpr size_t kMaxHosts = 4096;
inline constexpr size_t kMaxCertificates = 6;             // of one path, without the anchor
inline constexpr uint64_t kMaxContentBytes = 256U << 20;  // of a file given out as sealed memory
inline constexpr uint64_t kMaxVersion = (uint64_t{1} << 53) - 1;
inline constexpr uint64_t kMaxPemBytes = 1U << 20;  // certificate and key files
inline constexpr uint64_t kMaxCrlBytes = 64U << 20;

}  // namespace gf
