// A few threads, one per core, that run the parts of one job at a time. The caller is one of them.
// Between jobs the others look for work for some microseconds and then sleep; where more threads were
// made than there are cores they sleep at once and are bound to no core.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace gf {

class ThreadPool {
 public:
  // 0: one per physical core that this process may use.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int threads() const { return threads_; }
  // Binds the calling thread to the first core, as the others are to theirs.
  void attach_caller() const;

  // part(p, thread) for every p in [0, parts), thread in [0, threads()); returns when all have run. Parts
  // are taken in order by whoever is free. One caller at a time; part must not throw.
  template <typename F>
  void run(int64_t parts, F&& part) {
    if (parts <= 0) return;
    if (parts == 1 || threads_ == 1) {
      for (int64_t p = 0; p < parts; ++p) part(p, 0);
      return;
    }
    using Function = std::remove_reference_t<F>;
    run_parts(
        parts, [](void* f, int64_t p, int thread) { (*static_cast<Function*>(f))(p, thread); },
        const_cast<void*>(static_cast<const void*>(&part)));
  }

 private:
  using Call = void (*)(void* function, int64_t part, int thread);
  void run_parts(int64_t parts, Call call, void* function);
  void work(int thread);
  bool take_parts(uint32_t job, int thread);
  [[nodiscard]] bool may_spin() const;

  int threads_;
  std::vector<int> cores_;
  std::vector<std::thread> workers_;
  // A job's number and its next part share a word, so that a late thread cannot take a part of a job
  // whose description it has not read.
  alignas(64) std::atomic<uint64_t> ticket_ = 0;
  std::atomic<Call> call_ = nullptr;
  std::atomic<void*> function_ = nullptr;
  std::atomic<int64_t> parts_ = 0;
  alignas(64) std::atomic<uint32_t> job_ = 0;
  std::atomic<int> sleepers_ = 0;
  std::atomic<bool> stopping_ = false;
  alignas(64) std::atomic<int64_t> done_ = 0;
};

// The processors that this process may use, one of each physical core first.
std::vector<int> usable_processors();
int usable_cores();  // how many of those are physical cores

}  // namespace gf
