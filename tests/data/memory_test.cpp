// Memory stays flat however many rows there are. A child process builds a cache; its peak is read
// from the system when it ends.
#include <fstream>
#include <functional>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "attune/data/token_cache.h"

#include "tests/data/support.h"

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

TEST(Memory, SixTimesTheRowsTakeNoMoreMemory) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer keeps freed memory";
#endif
  for (const bool array : {false, true}) {
    const Folder folder;
    const auto small = folder.at("small");
    const auto large = folder.at("large");
    write_rows(small, 40'000, array);
    write_rows(large, 160'000, array);
    const double few = peak_of([&] { build(folder, small); });
    const double many = peak_of([&] { build(folder, large); });
    // The large cache has 30 MB more, its index 8 MB, its text 11 MB.
    EXPECT_LT(many, few + 8.0) << (array ? "array" : "lines");
  }
}

}  // namespace
}  // namespace attune::data
