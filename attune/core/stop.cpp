#include "attune/core/stop.h"

#include <atomic>

#include <signal.h>
#include <unistd.h>

namespace attune {
namespace {

std::atomic<int> stops{0};
static_assert(std::atomic<int>::is_always_lock_free);

void on_signal(int) {
  if (stops.fetch_add(1) > 0) {
    ::_exit(130);
  }
}

}  // namespace

void catch_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool stop_requested() {
  return stops.load() > 0;
}

}  // namespace attune
