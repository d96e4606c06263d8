#include "attune/core/stop.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

namespace attune {
namespace {

namespace fs = std::filesystem;

constexpr int kStatus = 130;
constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP};

std::atomic<int> stops{0};
std::atomic<bool> asks_first{false};
std::atomic<int> unfinished{0};      // Temporary paths alive
std::atomic<int> cleaner_input{-1};  // a pipe to the thread that removes them; -1: no such thread
static_assert(std::atomic<int>::is_always_lock_free);

std::mutex paths_mutex;
std::vector<const fs::path*> paths;  // guarded by paths_mutex

void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

// A handler may not touch the file system beyond single calls, so a thread does it.
void clean_and_leave(int input) {
  char byte = 0;
  while (::read(input, &byte, 1) < 0) {
  }
  const std::lock_guard lock(paths_mutex);
  constexpr int kTries = 3;  // whoever fills a folder goes on meanwhile
  for (int i = 0; i < kTries; ++i) {
    std::for_each(paths.begin(), paths.end(), [](const fs::path* path) { remove_quietly(*path); });
  }
  ::_exit(kStatus);
}

void start_cleaner() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return;  // signals then leave at once, and the paths stay
  }
  // The thread must not take the signals itself: a read that waits elsewhere is to be interrupted.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread(clean_and_leave, ends[0]).detach();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  cleaner_input = ends[1];
}

void on_signal(int) {
  if (asks_first && stops.fetch_add(1) == 0) {
    return;
  }
  const int input = cleaner_input;
  if (unfinished == 0 || input < 0) {
    ::_exit(kStatus);
  }
  const char byte = 0;
  if (::write(input, &byte, 1) != 1) {
    ::_exit(kStatus);
  }
}

sigset_t signal_set() {
  sigset_t set;
  sigemptyset(&set);
  std::for_each(kSignals.begin(), kSignals.end(), [&set](int s) { sigaddset(&set, s); });
  return set;
}

void handle_signals(bool wakes_reads) {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = wakes_reads ? 0 : SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : kSignals) {
    struct sigaction before = {};
    ::sigaction(signal, nullptr, &before);
    if (signal != SIGHUP || before.sa_handler != SIG_IGN) {
      ::sigaction(signal, &action, nullptr);
    }
  }
}

}  // namespace

void leave_on_stop_signals() {
  handle_signals(/*wakes_reads=*/false);
  const sigset_t set = signal_set();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void catch_stop_signals(bool wakes_reads) {
  asks_first = true;
  handle_signals(wakes_reads);
}

void hold_stop_signals() {
  const sigset_t set = signal_set();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool stop_requested() {
  return stops.load() > 0;
}

Temporary::Temporary(fs::path path) : path_(std::move(path)) {
  const std::lock_guard lock(paths_mutex);
  if (cleaner_input < 0) {
    start_cleaner();
  }
  paths.push_back(&path_);
  ++unfinished;
}

Temporary::~Temporary() {
  if (!kept_) {
    remove_quietly(path_);
    keep();
  }
}

void Temporary::keep() {
  const std::lock_guard lock(paths_mutex);
  kept_ = true;
  std::erase(paths, &path_);
  --unfinished;
}

}  // namespace attune
