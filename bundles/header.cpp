// Header: little-endian numbers at fixed places, checked against their caps and against each other.
#include "bundles/header.h"

#include <algorithm>
#include <string_view>

#include "kernels/base/error.h"
#include "kernels/base/fd.h"

namespace gf {
namespace {

// The first byte has its high bit set and the line ends are of three sorts, so that a transfer in
// text mode shows at once.
constexpr std::string_view kMagic("\x89GFB\r\n\x1a\n", 8);
constexpr uint32_t kFormatVersion = 1;
constexpr size_t kVersionAt = 8;
constexpr size_t kSignatureCountAt = 12;
constexpr size_t kFileSizeAt = 16;
constexpr size_t kManifestAt = 24;
constexpr size_t kTableAt = 40;
constexpr size_t kPayloadAt = 56;
constexpr size_t kSignaturesAt = 72;
constexpr size_t kRegionBytes = 16;
constexpr size_t kReservedAt = kSignaturesAt + kMaxSignatures * kRegionBytes;

template <typename T>
void put(std::span<std::byte> bytes, size_t at, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) bytes[at + i] = static_cast<std::byte>((value >> (8 * i)) & 0xFF);
}

template <typename T>
T get(std::span<const std::byte> bytes, size_t at) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<T>(value | static_cast<T>(std::to_integer<T>(bytes[at + i]) << (8 * i)));
  return value;
}

void put_region(std::span<std::byte> bytes, size_t at, const Region& region) {
  put(bytes, at, region.offset);
  put(bytes, at + 8, region.size);
}

Region get_region(std::span<const std::byte> bytes, size_t at) {
  return {get<uint64_t>(bytes, at), get<uint64_t>(bytes, at + 8)};
}

void check_size(std::string_view what, uint64_t size, uint64_t most) {
  if (size == 0) throw Error(Code::corrupt, "step 1 (header): the ", what, " has no bytes");
  if (size > most)
    throw Error(Code::corrupt, "step 1 (header): the ", what, " claims ", size, " bytes, more than the limit of ", most,
                " (endless data attack)");
}

void check_place(std::string_view what, const Region& found, const Region& expected) {
  if (found.offset != expected.offset)
    throw Error(Code::corrupt, "step 1 (header): the ", what, " begins at byte ", found.offset, ", expected ",
                expected.offset, ": regions must follow each other without gap or overlap");
}

}  // namespace

Header Header::tiling(uint64_t manifest_size, std::span<const uint64_t> signature_sizes, uint64_t table_size,
                      uint64_t payload_size) {
  Header header;
  uint64_t at = kHeaderBytes;
  const auto place = [&at](uint64_t size) {
    const Region region{at, size};
    at += rounded_up(size);
    return region;
  };
  header.manifest = place(manifest_size);
  for (const uint64_t size : signature_sizes) header.signatures.push_back(place(size));
  header.table = place(table_size);
  header.payload = place(payload_size);
  header.file_size = at;
  return header;
}

std::array<std::byte, kHeaderBytes> encode_header(const Header& header) {
  std::array<std::byte, kHeaderBytes> bytes{};
  std::copy_n(as_bytes(kMagic).begin(), kMagic.size(), bytes.begin());
  put(std::span(bytes), kVersionAt, kFormatVersion);
  put(std::span(bytes), kSignatureCountAt, static_cast<uint32_t>(header.signatures.size()));
  put(std::span(bytes), kFileSizeAt, header.file_size);
  put_region(bytes, kManifestAt, header.manifest);
  put_region(bytes, kTableAt, header.table);
  put_region(bytes, kPayloadAt, header.payload);
  for (size_t i = 0; i < header.signatures.size(); ++i)
    put_region(bytes, kSignaturesAt + i * kRegionBytes, header.signatures[i]);
  return bytes;
}

Header decode_header(std::span<const std::byte> bytes, uint64_t file_size) {
  if (bytes.size() < kHeaderBytes)
    throw Error(Code::corrupt, "step 1 (header): the file has ", bytes.size(), " bytes, fewer than a header's ",
                kHeaderBytes);
  if (as_text(bytes.first(kMagic.size())) != kMagic)
    throw Error(Code::corrupt,
                "step 1 (header): the magic bytes of a bundle are missing: not a bundle, or one that was "
                "transferred in text mode");
  const auto version = get<uint32_t>(bytes, kVersionAt);
  if (version != kFormatVersion)
    throw Error(Code::corrupt, "step 1 (header): format version ", version, ", and this program reads version ",
                kFormatVersion, ": use the program that came with the bundle's maker");
  const auto count = get<uint32_t>(bytes, kSignatureCountAt);
  if (count > kMaxSignatures)
    throw Error(Code::corrupt, "step 1 (header): ", count, " signatures, more than the limit of ", kMaxSignatures,
                " (endless data attack)");

  Header found;
  found.manifest = get_region(bytes, kManifestAt);
  found.table = get_region(bytes, kTableAt);
  found.payload = get_region(bytes, kPayloadAt);
  found.file_size = get<uint64_t>(bytes, kFileSizeAt);
  check_size("manifest", found.manifest.size, kMaxManifestBytes);
  check_size("chunk table", found.table.size, kMaxTableBytes);
  check_size("payload", found.payload.size, kMaxPayloadBytes);
  std::vector<uint64_t> sizes;
  for (size_t i = 0; i < count; ++i) {
    found.signatures.push_back(get_region(bytes, kSignaturesAt + i * kRegionBytes));
    check_size("signature", found.signatures.back().size, kMaxSignatureBytes);
    sizes.push_back(found.signatures.back().size);
  }

  const Header expected = Header::tiling(found.manifest.size, sizes, found.table.size, found.payload.size);
  check_place("manifest", found.manifest, expected.manifest);
  for (size_t i = 0; i < count; ++i) check_place("signature", found.signatures[i], expected.signatures[i]);
  check_place("chunk table", found.table, expected.table);
  check_place("payload", found.payload, expected.payload);
  if (found.file_size != expected.file_size || found.payload.size % kBlockBytes != 0)
    throw Error(Code::corrupt, "step 1 (header): the regions end at byte ", expected.file_size,
                ", the header states a file of ", found.file_size, " and a payload of ", found.payload.size,
                " bytes: expected whole blocks of ", kBlockBytes);
  if (file_size != expected.file_size)
    throw Error(Code::corrupt, "step 1 (header): the file has ", file_size, " bytes, expected ", expected.file_size,
                file_size < expected.file_size ? ": it was cut short (copy it again)" : ": something was appended");

  const auto reserved = bytes.subspan(kSignaturesAt + count * kRegionBytes);
  static_assert(kReservedAt < kHeaderBytes);
  if (std::any_of(reserved.begin(), reserved.end(), [](std::byte b) { return b != std::byte{0}; }))
    throw Error(Code::corrupt, "step 1 (header): a reserved byte is not zero");
  return found;
}

}  // namespace gf
