#include "attune/tensor/parallel.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <ATen/Parallel.h>

#include "attune/core/error.h"

namespace attune::tensor {
namespace {

class Threads {
 public:
  explicit Threads(int count) : before_(at::get_num_threads()) {
    at::set_num_threads(count);
  }
  ~Threads() {
    at::set_num_threads(before_);
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

// How often each piece came.
using Taken = std::vector<int>;

Taken take(int64_t count, const std::function<void(int64_t)>& work = {}) {
  Taken taken(static_cast<size_t>(count));
  std::mutex mutex;
  share_out(count, [&](Pieces& pieces) {
    std::vector<int64_t> own;
    for (int64_t piece = pieces.next(); piece >= 0; piece = pieces.next()) {
      own.push_back(piece);
      if (work) {
        work(piece);
      }
    }
    const std::lock_guard lock(mutex);
    for (const int64_t piece : own) {
      ++taken[static_cast<size_t>(piece)];
    }
  });
  return taken;
}

TEST(ShareOut, GivesEachPieceOnceToAnyNumberOfThreads) {
  for (const int threads : {1, 2, 3, 7}) {
    const Threads set(threads);
    for (const int64_t count : {0, 1, 2, 5, 101, 20011}) {
      EXPECT_EQ(take(count), std::vector<int>(static_cast<size_t>(count), 1))
          << count << " pieces on " << threads << " threads";
    }
  }
}

// How many threads the machine gives when three are asked for.
size_t granted() {
  std::set<std::thread::id> ids;
  std::mutex mutex;
  at::parallel_for(0, 3, 1, [&](int64_t, int64_t) {
    const std::lock_guard lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  return ids.size();
}

// The first piece waits until all others are done: threads that did their own only would leave
// those behind it.
TEST(ShareOut, TheOthersTakeWhatASlowThreadStillHas) {
  const Threads set(3);
  if (granted() < 2) {
    GTEST_SKIP() << "the machine gives one thread only";
  }
  constexpr int64_t kPieces = 61;
  std::atomic<int64_t> others = 0;
  std::atomic<bool> late = false;
  const Taken taken = take(kPieces, [&](int64_t piece) {
    if (piece > 0) {
      ++others;
      return;
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (others < kPieces - 1 && !late) {
      late = std::chrono::steady_clock::now() > until;
      std::this_thread::yield();
    }
  });
  EXPECT_FALSE(late);
  EXPECT_EQ(taken, std::vector<int>(kPieces, 1));
}

TEST(ShareOut, PiecesFollowEachOtherWhileNobodyTakesThem) {
  const Threads set(1);
  int64_t last = -1;
  take(53, [&](int64_t piece) { EXPECT_EQ(piece, ++last); });
  EXPECT_EQ(last, 52);
}

TEST(ShareOut, RowsComeInPiecesOfTheGrain) {
  const Threads set(2);
  std::mutex mutex;
  std::set<std::pair<int64_t, int64_t>> pieces;
  share_out(23, 7, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    pieces.emplace(begin, end);
  });
  EXPECT_EQ(pieces, (std::set<std::pair<int64_t, int64_t>>{{0, 7}, {7, 14}, {14, 21}, {21, 23}}));
}

TEST(ShareOut, FewRowsAreOnePieceHere) {
  const std::thread::id here = std::this_thread::get_id();
  int calls = 0;
  share_out(7, 7, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(std::this_thread::get_id(), here);
    EXPECT_EQ(end - begin, 7);
    ++calls;
  });
  share_out(0, 7, [&](int64_t, int64_t) { ++calls; });
  EXPECT_EQ(calls, 1);
}

TEST(ShareOut, WorkInsideOfWorkStaysOnItsThread) {
  const Threads set(3);
  std::atomic<int> done = 0;
  share_out(5, 1, [&](int64_t, int64_t) {
    const std::thread::id here = std::this_thread::get_id();
    share_out(11, 1, [&](int64_t, int64_t) {
      EXPECT_EQ(std::this_thread::get_id(), here);
      ++done;
    });
  });
  EXPECT_EQ(done, 55);
}

TEST(ShareOut, MorePiecesThanCanBeCountedAreRefused) {
  EXPECT_THROW(share_out(int64_t{1} << 31, [](Pieces&) {}), InternalError);
}

TEST(ShareOut, AnErrorOfOnePieceReachesTheCaller) {
  const Threads set(2);
  EXPECT_THROW(share_out(31, 1, [](int64_t begin, int64_t) { check(begin != 17, "seventeen"); }),
               Error);
}

}  // namespace
}  // namespace attune::tensor
