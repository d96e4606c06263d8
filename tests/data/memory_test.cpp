// Memory stays flat however many rows there are. A child process builds a cache; its peak is read
// from the system when it ends.
#include <fstream>
#include <functional>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "attune/data/token_cache.h"

#include "tests/data/support.h"

#if defined(__SANITIZE_ADDRESS__)
#define ATTUNE_SKIP_UNDER_SANITIZER() GTEST_SKIP() << "the sanitizer keeps freed memory"
#else
#define ATTUNE_SKIP_UNDER_SANITIZER() static_cast<void>(0)
#endif

namespace attune::data {
namespace {

using testing::Folder;
using testing::tiny_tokenizer;

/// Peak resident memory of a child that runs `work`, in MiB.
double peak_of(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 1;
    try {
      work();
      status = 0;
    } catch (const std::exception&) {
    }
    ::_exit(status);
  }
  int status = 0;
  struct ::rusage usage = {};
  EXPECT_EQ(::wait4(child, &status, 0, &usage), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

/// Few different words, since a tokenizer may remember the words that it has met.
void write_rows(const std::string& path, int count, bool array) {
  std::ofstream file(path, std::ios::binary);
  file << (array ? "[" : "");
  for (int i = 0; i < count; ++i) {
    file
        << (i == 0  ? ""
            : array ? ", "
                    : "\n")
        << fmt::format(
               R"({{"prompt": "What is {} plus {}?", "chosen": " It is {}.", "rejected": " No."}})",
               i,
               i,
               2 * i);
  }
  file << (array ? "]" : "\n");
}

void build(const Folder& folder, const std::string& path) {
  DataOptions options;
  options.cache_dir = folder.at("cache");
  Watcher watcher;
  const std::vector<std::string> files{path};
  const auto [cache, report] =
      build_token_cache(options, files, *tiny_tokenizer(), nullptr, watcher);
}

// 80,000 rows are enough for the allocator to settle; 320,000 more have 18 MB of text, 15 MB of
// index and 60 MB of tokens. Threads' arenas differ by some MiB from run to run.
TEST(Memory, FiveTimesTheRowsTakeNoMoreMemoryToCache) {
  ATTUNE_SKIP_UNDER_SANITIZER();
  const Folder folder;
  write_rows(folder.at("small"), 80'000, /*array=*/false);
  write_rows(folder.at("large"), 400'000, /*array=*/false);
  const double few = peak_of([&] { build(folder, folder.at("small")); });
  const double many = peak_of([&] { build(folder, folder.at("large")); });
  EXPECT_LT(many, few + 12.0);
}

TEST(Memory, AnArrayOnOneLineIsReadRowByRow) {
  ATTUNE_SKIP_UNDER_SANITIZER();
  const Folder folder;
  write_rows(folder.at("small"), 2'000, /*array=*/true);
  write_rows(folder.at("large"), 200'000, /*array=*/true);  // 14 MB
  const auto read = [](const std::string& path) {
    const auto reader = open_reader(path, {});
    while (reader->next()) {
    }
  };
  const double few = peak_of([&] { read(folder.at("small")); });
  const double many = peak_of([&] { read(folder.at("large")); });
  EXPECT_LT(many, few + 2.0);
}

}  // namespace
}  // namespace attune::data
