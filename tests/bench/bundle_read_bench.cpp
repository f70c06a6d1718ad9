// The simplest parallel program that reads a file once and hashes it: what gf-bundle verify is
// measured against. Usage: bundle_read_bench FILE
#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <thread>
#include <vector>

#include "kernels/base/digest.h"
#include "kernels/base/fd.h"

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fputs("usage: bundle_read_bench FILE\n", stderr);
    return 10;
  }
  constexpr uint64_t kBlock = 4U << 20;
  const gf::Fd file = gf::open_file(argv[1], O_RDONLY);
  const auto size = static_cast<uint64_t>(gf::stat_of(file, argv[1]).st_size);
  std::atomic<uint64_t> next{0};
  std::atomic<bool> failed{false};
  const auto work = [&] {
    try {
      std::vector<std::byte> buffer(kBlock);
      for (uint64_t at; (at = next.fetch_add(kBlock)) < size;) {
        const auto block = std::span(buffer).first(static_cast<size_t>(std::min(kBlock, size - at)));
        gf::pread_exactly(file, block, at, argv[1]);
        (void)gf::sha384(block);
      }
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      failed = true;
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
  }
  return failed ? 1 : 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bundle_read_bench: %s\n", error.what());
  return 1;
}
