#include "attune/io/mapped_file.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include <sys/stat.h>

#include "tests/io/support.h"

namespace attune::io {
namespace {

using testing::HasSubstr;

TEST(MappedFile, GivesTheFilesBytes) {
  const auto path = temp_path("seven");
  write_file(path, "seven\0!" + std::string("x"));
  const MappedFile file(path);
  file.prefetch();
  const std::string expected = read_file(path);
  ASSERT_EQ(file.bytes().size(), expected.size());
  EXPECT_EQ(std::memcmp(file.bytes().data(), expected.data(), expected.size()), 0);
  EXPECT_EQ(file.path(), path);
}

// RssFile of this process, in bytes.
int64_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == "RssFile:") {
      int64_t kib = 0;
      status >> kib;
      return kib * 1024;
    }
  }
  return -1;
}

TEST(MappedFile, GivesItsPagesBackAndReadsThemAgain) {
  constexpr int64_t kSize = int64_t{32} << 20;
  const auto path = temp_path("large");
  write_file(path, std::string(kSize, 'x'));
  const MappedFile file(path);
  const auto touched = [&] {
    return std::count(file.bytes().begin(), file.bytes().end(), std::byte{'x'});
  };
  EXPECT_EQ(touched(), kSize);
  const int64_t before = resident_file_bytes();
  file.release();
  EXPECT_LT(resident_file_bytes(), before - kSize / 2);
  EXPECT_EQ(touched(), kSize);
}

TEST(MappedFile, AnEmptyFileHasNoBytes) {
  const auto path = temp_path("empty");
  write_file(path, "");
  const MappedFile file(path);
  EXPECT_TRUE(file.bytes().empty());
  file.prefetch();
  file.release();
}

TEST(MappedFile, MovesWithoutMovingTheBytes) {
  const auto path = temp_path("moved");
  write_file(path, "abc");
  MappedFile first(path);
  const std::byte* const place = first.bytes().data();
  MappedFile second(std::move(first));
  EXPECT_EQ(second.bytes().data(), place);
  const auto other = temp_path("other");
  write_file(other, "defgh");
  MappedFile third(other);
  third = std::move(second);
  EXPECT_EQ(third.bytes().data(), place);
  EXPECT_EQ(third.bytes().size(), 3U);
  EXPECT_EQ(third.path(), path);
}

TEST(MappedFile, SurvivesTheFilesRemoval) {
  const auto path = temp_path("removed");
  write_file(path, "still here");
  const MappedFile file(path);
  std::filesystem::remove(path);
  EXPECT_EQ(std::memcmp(file.bytes().data(), "still here", 10), 0);
}

TEST(MappedFile, WhatIsNoFileIsRefusedByName) {
  EXPECT_THAT(error_of([] { MappedFile("/no/such/file"); }),
              HasSubstr("/no/such/file: cannot be read: No such file"));
  EXPECT_THAT(error_of([] { MappedFile(testing::TempDir()); }), HasSubstr("got a folder"));
  const auto pipe = temp_path("pipe");
  std::filesystem::remove(pipe);
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { MappedFile{pipe}; }), HasSubstr("got a device or pipe"));
}

}  // namespace
}  // namespace attune::io
