#include "kernels/cpu/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>
#include <string>

namespace gf {
namespace {

constexpr int kSpins = 4000;  // about 20 microseconds: longer than most gaps between two ops of a step

// Threads of all pools of the process: ranks have a pool each, and together they may exceed the cores.
std::atomic<int>& live_threads() {
  static std::atomic<int> count = 0;
  return count;
}

void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

void bind_to(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(processor), &set);
  // Refused in some containers; then the scheduler decides.
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

std::string core_of(int processor) {
  std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(processor) + "/topology/thread_siblings_list");
  std::string siblings;
  if (!std::getline(file, siblings) || siblings.empty()) return std::to_string(processor);
  return siblings;
}

struct Processors {
  std::vector<int> list;
  int cores = 0;
};

Processors find_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  Processors found;
  std::vector<int> siblings;
  std::set<std::string> seen;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int processor = 0; processor < CPU_SETSIZE; ++processor)
      if (CPU_ISSET(static_cast<size_t>(processor), &set))
        (seen.insert(core_of(processor)).second ? found.list : siblings).push_back(processor);
  if (found.list.empty()) found.list.push_back(0);
  found.cores = static_cast<int>(found.list.size());
  found.list.insert(found.list.end(), siblings.begin(), siblings.end());
  return found;
}

}  // namespace

std::vector<int> usable_processors() { return find_processors().list; }
int usable_cores() { return find_processors().cores; }

ThreadPool::ThreadPool(int threads) : threads_(threads > 0 ? threads : usable_cores()), cores_(usable_processors()) {
  live_threads() += threads_;
  for (int thread = 1; thread < threads_; ++thread) workers_.emplace_back([this, thread] { work(thread); });
}

ThreadPool::~ThreadPool() {
  stopping_ = true;
  ++job_;
  job_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  live_threads() -= threads_;
}

bool ThreadPool::may_spin() const { return live_threads().load() <= static_cast<int>(cores_.size()); }

void ThreadPool::attach_caller() const {
  if (may_spin()) bind_to(cores_[0]);
}

// Takes parts of that job until there is none left. False: the job is over.
bool ThreadPool::take_parts(uint32_t job, int thread) {
  for (;;) {
    uint64_t ticket = ticket_.load();
    if (static_cast<uint32_t>(ticket >> 32U) != job) return false;
    const auto part = static_cast<int64_t>(ticket & 0xFFFFFFFFU);
    const Call call = call_.load();
    void* const function = function_.load();
    if (part >= parts_.load()) return true;
    // Success means that the part was not taken, so its job is not over and what was read describes it.
    if (!ticket_.compare_exchange_weak(ticket, ticket + 1)) continue;
    call(function, part, thread);
    done_.fetch_add(1);
    done_.notify_one();
  }
}

void ThreadPool::run_parts(int64_t parts, Call call, void* function) {
  const uint32_t job = job_.load() + 1;
  // Close the old job before its description changes.
  ticket_.store(uint64_t{job} << 32U | 0xFFFFFFFFU);
  call_.store(call);
  function_.store(function);
  parts_.store(parts);
  done_.store(0);
  ticket_.store(uint64_t{job} << 32U);
  job_.store(job);
  if (sleepers_.load() > 0) job_.notify_all();
  take_parts(job, 0);
  const int spins = may_spin() ? kSpins : 0;
  for (int i = 0; i < spins && done_.load() < parts; ++i) pause_briefly();
  for (int64_t done = done_.load(); done < parts; done = done_.load()) done_.wait(done);
}

void ThreadPool::work(int thread) {
  if (may_spin()) bind_to(cores_[static_cast<size_t>(thread) % cores_.size()]);
  uint32_t seen = 0;
  while (!stopping_.load()) {
    const int spins = may_spin() ? kSpins : 0;
    for (int i = 0; i < spins && job_.load() == seen; ++i) pause_briefly();
    if (job_.load() == seen) {
      ++sleepers_;
      job_.wait(seen);
      --sleepers_;
    }
    seen = job_.load();
    take_parts(seen, thread);
  }
}

}  // namespace gf
