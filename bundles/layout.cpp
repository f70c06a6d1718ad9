// Offsets, tar framing (POSIX.1-2001 pax) and chunks. Every file gets an extended header whose
// "comment" record is as long as it takes to begin the file's bytes on a block.
#include "bundles/layout.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "bundles/header.h"
#include "bundles/limits.h"

namespace gf {
namespace {

constexpr uint64_t kTarBlock = 512;
constexpr uint64_t kLargestOctalSize = (uint64_t{1} << 33) - 1;  // eleven octal digits
constexpr size_t kTarNameBytes = 100;
constexpr size_t kSmallestRecord = 12;  // "12 comment=\n"

// "LENGTH KEY=VALUE\n", where LENGTH counts its own digits.
std::string pax_record(std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) ++length;
  return std::to_string(length) + " " + std::string(key) + "=" + std::string(value) + "\n";
}

// A comment record of exactly `length` bytes, at least kSmallestRecord.
std::string filler_record(size_t length) {
  const std::string head = std::to_string(length) + " comment=";
  return head + std::string(length - head.size() - 1, '.') + "\n";
}

std::string octal(uint64_t value, int digits) {
  char text[24];
  std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
  return text;
}

// One ustar header block.
std::string tar_header(std::string_view name, uint64_t size, uint64_t seconds, char type) {
  std::string block(kTarBlock, '\0');
  const auto put = [&block](size_t at, std::string_view text) { block.replace(at, text.size(), text); };
  put(0, name.substr(0, kTarNameBytes));
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, octal(size <= kLargestOctalSize ? size : 0, 11));  // the pax record says it exactly
  put(136, octal(seconds, 11));
  put(148, "        ");
  put(156, std::string_view(&type, 1));
  put(257, std::string_view("ustar\0"
                            "00",
                            8));
  put(329, "0000000");
  put(337, "0000000");
  uint64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, octal(sum, 6) + std::string(1, '\0') + " ");
  return block;
}

// The extended header's records, as long as needed for the file to begin on a block when the
// extended header's own block is at `at`.
std::string records_for(const FileEntry& file, uint64_t at) {
  std::string records = pax_record("path", file.name) + pax_record("size", std::to_string(file.size));
  const uint64_t fixed = at + 2 * kTarBlock;
  const uint64_t data = rounded_up(fixed + records.size() + kSmallestRecord);
  return records + filler_record(static_cast<size_t>(data - fixed) - records.size());
}

uint64_t end_of(const Manifest& manifest, size_t index) {
  return index == 0 ? 0 : manifest.files[index - 1].offset + manifest.files[index - 1].size;
}

}  // namespace

Framing framing_before(const Manifest& manifest, size_t index) {
  Framing framing;
  framing.offset = end_of(manifest, index);
  const uint64_t at = rounded_up(framing.offset, kTarBlock);
  framing.bytes.assign(static_cast<size_t>(at - framing.offset), '\0');
  if (index == manifest.files.size()) {
    framing.bytes.resize(static_cast<size_t>(rounded_up(at + 2 * kTarBlock) - framing.offset), '\0');
    return framing;
  }
  const FileEntry& file = manifest.files[index];
  const auto seconds = static_cast<uint64_t>(manifest.created.time_since_epoch().count());
  const std::string records = records_for(file, at);
  framing.bytes += tar_header("pax-header", records.size(), seconds, 'x');
  framing.bytes += records;
  framing.bytes += tar_header(file.name, file.size, seconds, '0');
  return framing;
}

void lay_out(Manifest& manifest) {
  for (size_t i = 0; i < manifest.files.size(); ++i) {
    const Framing framing = framing_before(manifest, i);
    manifest.files[i].offset = framing.offset + framing.bytes.size();
  }
  const Framing end = framing_before(manifest, manifest.files.size());
  manifest.payload_size = end.offset + end.bytes.size();
}

uint64_t chunk_count(const Manifest& manifest) {
  uint64_t count = manifest.files.size() + 1;
  for (const FileEntry& file : manifest.files) count += rounded_up(file.size, kChunkBytes) / kChunkBytes;
  return count;
}

ChunkMap cut_into_chunks(const Manifest& manifest) {
  ChunkMap map;
  map.chunks.reserve(static_cast<size_t>(chunk_count(manifest)));
  uint64_t at = 0;
  for (const FileEntry& file : manifest.files) {
    map.chunks.push_back({at, file.offset - at});
    const size_t first = map.chunks.size();
    for (uint64_t done = 0; done < file.size; done += kChunkBytes)
      map.chunks.push_back({file.offset + done, std::min(kChunkBytes, file.size - done)});
    map.of_file.emplace_back(first, map.chunks.size());
    at = file.offset + file.size;
  }
  map.chunks.push_back({at, manifest.payload_size - at});
  return map;
}

}  // namespace gf
