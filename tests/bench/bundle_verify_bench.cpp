// gf-bundle verify against bundle_read_bench on the same file, in turn, in one run.
// Usage: bundle_verify_bench [GIB [ROUNDS [FOLDER]]]; prints both times and their ratio.
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "bundles/create.h"
#include "bundles/pki.h"
#include "kernels/base/atomic_file.h"
#include "kernels/base/error.h"

namespace gf {
namespace {

namespace fs = std::filesystem;

struct Cost {
  double wall_seconds;
  double cpu_seconds;  // of all its threads; what remains comparable on a busy machine
};

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Runs a program that must succeed; its output goes nowhere.
Cost cost_of(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  const auto start = std::chrono::steady_clock::now();
  pid_t child = 0;
  const int error = ::posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw system_error(error, "cannot start " + command[0]);
  int status = 0;
  rusage usage{};
  if (::wait4(child, &status, 0, &usage) != child || status != 0)
    throw Error(Code::internal, command[0], " ended with wait status ", status);
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
          seconds(usage.ru_utime) + seconds(usage.ru_stime)};
}

// Weights in shards of at most 2 GiB, as checkpoints have them.
void make_bundle(const fs::path& folder, uint64_t gib) {
  fs::create_directory(folder / "model");
  std::mt19937_64 random(1);
  std::vector<uint64_t> block((64U << 20) / sizeof(uint64_t));
  for (uint64_t& word : block) word = random();
  for (uint64_t written = 0, shard = 0; written < gib; written += 2, ++shard) {
    const Fd file =
        open_file(folder / "model" / ("model-" + std::to_string(shard) + ".safetensors"), O_WRONLY | O_CREAT);
    for (uint64_t blocks = std::min<uint64_t>(2, gib - written) * 16; blocks > 0; --blocks)
      write_all(file, std::as_bytes(std::span(block)), "a shard");
  }
  write_atomically(folder / "m.toml",
                   "stream = \"bench\"\nversion = 1\nexpires = \"2100-01-01\"\n[[folder]]\npath = \"model\"\n");
  write_development_pki(folder / "pki", system_time());
  create_bundle(read_create_manifest(folder / "m.toml", system_time()), folder / "x.gfb", Existing::refuse);
  fs::remove_all(folder / "model");
  sign_bundle(folder / "x.gfb", folder / "pki/signer1.key", folder / "pki/signer1.pem", {folder / "pki/chain.pem"});
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void run(const fs::path& programs, uint64_t gib, int rounds, const fs::path& folder) {
  make_bundle(folder, gib);
  const std::string bundle = folder / "x.gfb";
  const std::vector<std::string> read = {programs / "bundle_read_bench", bundle};
  const std::vector<std::string> verify = {programs / "gf-bundle",    "verify", "--json", "--trust",
                                           folder / "pki/trust.toml", bundle};
  cost_of(read);  // both find the same page cache
  std::vector<double> wall_ratios, cpu_ratios;
  for (int round = 0; round < rounds; ++round) {
    const Cost reading = cost_of(read);
    const Cost verifying = cost_of(verify);
    wall_ratios.push_back(verifying.wall_seconds / reading.wall_seconds);
    cpu_ratios.push_back(verifying.cpu_seconds / reading.cpu_seconds);
    std::printf("round %d: read + SHA-384 %.3f s (cpu %.3f), gf-bundle verify %.3f s (cpu %.3f)\n", round + 1,
                reading.wall_seconds, reading.cpu_seconds, verifying.wall_seconds, verifying.cpu_seconds);
  }
  std::printf("%llu GiB: verify takes %.3f times the plain read's wall time, %.3f times its cpu time (medians of %d)\n",
              static_cast<unsigned long long>(gib), median(wall_ratios), median(cpu_ratios), rounds);
}

}  // namespace
}  // namespace gf

int main(int argc, char** argv) {
  std::string folder;
  int status = 0;
  try {
    const uint64_t gib = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 4;
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 3;
    if (gib < 1 || gib > 64 || rounds < 1 || rounds > 100) {
      std::fputs("usage: bundle_verify_bench [GIB (1 to 64) [ROUNDS [FOLDER]]]\n", stderr);
      return 10;
    }
    folder = (argc > 3 ? std::filesystem::path(argv[3]) : std::filesystem::temp_directory_path()) / "gf-bench.XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) throw gf::Error(gf::Code::io, "cannot make a temporary folder");
    gf::run(std::filesystem::canonical("/proc/self/exe").parent_path(), gib, rounds, folder);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bundle_verify_bench: %s\n", error.what());
    status = 1;
  }
  std::error_code ignored;
  if (!folder.empty()) std::filesystem::remove_all(folder, ignored);
  return status;
}
