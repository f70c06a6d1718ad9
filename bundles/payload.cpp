// The pass over all chunks: one buffer and one hash per thread, each chunk read once.
#include "bundles/payload.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

#include "bundles/bundle_state.h"
#include "bundles/limits.h"
#include "kernels/base/error.h"

namespace gf {
namespace {

// Hashing in pieces that stay in a core's own cache is faster than whole chunks through memory.
constexpr size_t kPieceBytes = 256U << 10;

size_t worker_count(size_t items) {
  return std::max<size_t>(1, std::min<size_t>(items, std::max(1U, std::thread::hardware_concurrency())));
}

}  // namespace

std::span<std::byte> Worker::room(uint64_t bytes) {
  if (buffer_.size() < bytes) buffer_.resize(static_cast<size_t>(bytes));
  return std::span(buffer_).first(static_cast<size_t>(bytes));
}

void for_each_in_parallel(size_t items, const std::function<void(size_t, Worker&)>& work) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  size_t failed_item = SIZE_MAX;
  const auto run = [&] {
    size_t item = SIZE_MAX;
    try {
      Worker worker;
      while ((item = next.fetch_add(1)) < items) work(item, worker);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (failure == nullptr || item < failed_item) {
        failure = std::current_exception();
        failed_item = item;
      }
      next = items;
    }
  };
  std::vector<std::jthread> threads;
  for (size_t i = 1; i < worker_count(items); ++i) threads.emplace_back(run);
  run();
  threads.clear();  // joins
  if (failure != nullptr) std::rethrow_exception(failure);
}

void ProgressMeter::add(uint64_t bytes) {
  if (!progress_) return;
  const std::lock_guard lock(mutex_);
  done_ += bytes;
  progress_(done_, total_);
}

const ChunkMap& PayloadReader::map() const { return state_->map; }
const Fd& PayloadReader::file() const { return state_->file; }
uint64_t PayloadReader::payload_offset() const { return state_->header.payload.offset; }

std::span<const std::byte> PayloadReader::read(size_t chunk, Worker& worker) const {
  const Chunk& place = state_->map.chunks[chunk];
  const std::span<std::byte> bytes = worker.room(place.size);
  pread_exactly(state_->file, bytes, payload_offset() + place.offset, state_->path.native());
  check(chunk, worker.chunk_hash.update(bytes).finish());
  return bytes;
}

void PayloadReader::verify(size_t chunk, Worker& worker, PlainDigests plain) const {
  const Chunk& place = state_->map.chunks[chunk];
  for (uint64_t done = 0; done < place.size;) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(kPieceBytes, place.size - done));
    const std::span<std::byte> piece = worker.room(size);
    pread_exactly(state_->file, piece, payload_offset() + place.offset + done, state_->path.native());
    worker.chunk_hash.update(piece);
    if (plain == PlainDigests::check) worker.plain_hash.update(piece);
    done += size;
  }
  check(chunk, worker.chunk_hash.finish());
}

void PayloadReader::check(size_t chunk, const Digest& found) const {
  if (found == state_->table[chunk]) return;
  const Chunk& place = state_->map.chunks[chunk];
  std::string where = "framing between files";
  for (const FileEntry& file : state_->manifest.files)
    if (place.offset >= file.offset && place.offset < file.offset + file.size) where = "file " + file.name;
  throw Error(Code::corrupt, "step 7 (chunks): ", where, ", payload bytes ", place.offset, " to ",
              place.offset + place.size, ": the digest differs from the table: damaged, or changed after signing");
}

void PayloadReader::check_plain(size_t file, const Digest& found) const {
  const FileEntry& entry = state_->manifest.files[file];
  if (found != entry.sha384)
    throw Error(Code::corrupt, "step 7 (chunks): file ", entry.name, ": the manifest states SHA-384 ",
                entry.sha384.hex(), ", its bytes have ", found.hex());
}

void Bundle::verify_payload(const Progress& progress, PlainDigests plain) const {
  const PayloadReader reader(*this);
  const ChunkMap& map = reader.map();
  ProgressMeter meter(progress, state_->manifest.payload_size);
  with_context("while verifying the payload of " + state_->path.native(), [&] {
    if (plain == PlainDigests::skip) {
      for_each_in_parallel(map.chunks.size(), [&](size_t chunk, Worker& worker) {
        reader.verify(chunk, worker, PlainDigests::skip);
        meter.add(map.chunks[chunk].size);
      });
    } else {
      // One file by one thread, because a plain digest has no parts; a file and the framing before it.
      const size_t files = state_->manifest.files.size();
      for_each_in_parallel(files + 1, [&](size_t item, Worker& worker) {
        const size_t framing = item < files ? map.of_file[item].first - 1 : map.chunks.size() - 1;
        reader.verify(framing, worker, PlainDigests::skip);
        meter.add(map.chunks[framing].size);
        if (item == files) return;
        for (size_t chunk = map.of_file[item].first; chunk < map.of_file[item].second; ++chunk) {
          reader.verify(chunk, worker, PlainDigests::check);
          meter.add(map.chunks[chunk].size);
        }
        reader.check_plain(item, worker.plain_hash.finish());
      });
    }
    check_tar(*this);
  });
}

}  // namespace gf
