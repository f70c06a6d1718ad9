// Signals set a flag and nothing else.
#include "runner/stop.h"

#include <csignal>

namespace gf {
namespace {

std::atomic<int> received_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may touch lock-free atomics only");

void remember(int signal) { received_signal.store(signal); }

}  // namespace

void Stop::catch_signals() {
  struct sigaction action {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGHUP, &action, nullptr);
}

bool Stop::signalled() { return received_signal.load() != 0; }

std::string Stop::reason() const {
  switch (received_signal.load()) {
    case 0: return Clock::now() >= deadline_ ? "the time limit was reached" : "";
    case SIGTERM: return "SIGTERM was received";
    case SIGINT: return "SIGINT was received";
    default: return "SIGHUP was received";
  }
}

}  // namespace gf
