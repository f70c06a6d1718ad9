// Reading a bundle's payload chunk by chunk, each checked against the table; shared by verification
// and unpacking. Not for other folders: Bundle is their interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "bundles/bundle.h"
#include "bundles/layout.h"
#include "kernels/base/digest.h"

namespace gf {

// What one thread reads and hashes with; made once per thread.
struct Worker {
  Sha384 chunk_hash;
  Sha384 plain_hash;
  // The thread's buffer, grown to what is asked for, at most kChunkBytes.
  std::span<std::byte> room(uint64_t bytes);

 private:
  std::vector<std::byte> buffer_;
};

// Calls work(item, worker) for every item below `items` on all cores. After an Error no new item is
// begun; the Error of the lowest item is thrown when all threads have ended.
void for_each_in_parallel(size_t items, const std::function<void(size_t item, Worker& worker)>& work);

// Adds up bytes of several threads and tells one callback at a time.
class ProgressMeter {
 public:
  ProgressMeter(const Progress& progress, uint64_t total) : progress_(progress), total_(total) {}
  void add(uint64_t bytes);

 private:
  const Progress& progress_;
  uint64_t total_;
  uint64_t done_ = 0;
  std::mutex mutex_;
};

class PayloadReader {
 public:
  explicit PayloadReader(const Bundle& bundle) : state_(bundle.state_) {}

  [[nodiscard]] const ChunkMap& map() const;
  [[nodiscard]] const Fd& file() const;
  [[nodiscard]] uint64_t payload_offset() const;  // in the file

  // Reads the whole chunk into the worker's buffer and checks it there.
  [[nodiscard]] std::span<const std::byte> read(size_t chunk, Worker& worker) const;
  // Checks the chunk in cache-sized pieces; the bytes go nowhere but into the hashes (the plain one
  // as well if asked).
  void verify(size_t chunk, Worker& worker, PlainDigests plain) const;
  // Throws Code::corrupt unless `found` is the table's digest of the chunk.
  void check(size_t chunk, const Digest& found) const;
  // Throws Code::corrupt unless `found` is the manifest's plain digest of the file.
  void check_plain(size_t file, const Digest& found) const;

 private:
  std::shared_ptr<const Bundle::State> state_;
};

// Step 8. The framing must be what the manifest implies, byte for byte, and libarchive, which sees
// only that verified framing, must read the manifest's members from it. Throws Code::corrupt.
void check_tar(const Bundle& bundle);

}  // namespace gf
