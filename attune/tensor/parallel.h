// Work that is handed out while it is done, so that all threads end together.
//
// at::parallel_for cuts the work once, before it starts: where another program, or another guest of
// the machine, takes a core for a moment, everybody waits for the thread that stood on it. Here a
// thread that has nothing left takes half of what the busiest one still has.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>

namespace attune::tensor {

/// What one thread is given of a piece of work.
class Pieces {
 public:
  /// Pieces that wait for one thread: [begin, end), begin in the upper half.
  struct alignas(64) Waiting {
    std::atomic<uint64_t> bounds = 0;
  };

  Pieces(std::span<Waiting> threads, size_t own) : threads_(threads), own_(own) {}

  /// The next piece, or -1 where none waits: the thread is done then and asks no more. Each is
  /// given to one thread, once; those of a thread follow each other, but for the few times when it
  /// takes from another.
  int64_t next();

 private:
  int64_t take_own();
  int64_t take_from_another();

  std::span<Waiting> threads_;
  size_t own_;
};

/// Calls body once on each thread, or more often on one where fewer are to be had, which asks for
/// its pieces out of [0, count) one by one, until there is none. Who has which is chance: a result
/// must not depend on it. Inside a body that runs on several threads it runs on one.
void share_out(int64_t count, const std::function<void(Pieces&)>& body);

/// Calls body(begin, end) on all threads until [0, count) is done, in pieces of `grain`, the last
/// of what is left.
void share_out(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace attune::tensor
