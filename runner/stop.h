// When a run must end early: SIGTERM, SIGINT, or its time limit.
#pragma once

#include <atomic>
#include <chrono>
#include <string>

namespace gf {

class Stop {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Stop(Clock::time_point deadline) : deadline_(deadline) {}

  // Installs handlers that do nothing but set a flag; system calls go on (SA_RESTART).
  static void catch_signals();

  [[nodiscard]] bool requested() const { return signalled() || Clock::now() >= deadline_; }
  // "SIGTERM was received", "the time limit was reached"
  [[nodiscard]] std::string reason() const;
  [[nodiscard]] Clock::time_point deadline() const { return deadline_; }

 private:
  static bool signalled();
  Clock::time_point deadline_;
};

}  // namespace gf
