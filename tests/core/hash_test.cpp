#include "attune/core/hash.h"

#include <filesystem>
#include <string>

#include <gmock/gmock.h>

#include "attune/core/error.h"
#include "attune/core/file.h"

namespace attune {
namespace {

std::filesystem::path file_of(const std::string& name, const std::string& bytes) {
  std::filesystem::path path = std::filesystem::path(testing::TempDir()) / ("hash_test_" + name);
  write_file(path, bytes);
  return path;
}

// 2.5 pieces of 1 MiB: a change in any of them, or of the length, is another hash.
TEST(HashFile, EveryByteOfALargeFileCounts) {
  const std::string bytes((size_t{5} << 20) / 2, 'a');
  const std::string hash = hash_file(file_of("whole", bytes));
  EXPECT_EQ(hash.size(), 32U);
  EXPECT_EQ(hash, hash_file(file_of("same", bytes)));
  for (const size_t at : {size_t{0}, (size_t{1} << 20) - 1, size_t{1} << 20, bytes.size() - 1}) {
    std::string other = bytes;
    other[at] = 'b';
    EXPECT_NE(hash, hash_file(file_of("other", other))) << at;
  }
  EXPECT_NE(hash, hash_file(file_of("longer", bytes + "a")));
  EXPECT_NE(hash, hash_file(file_of("shorter", bytes.substr(1))));
}

TEST(HashFile, AFileThatIsNotThereIsNamed) {
  try {
    hash_file("/nowhere/at/all");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("/nowhere/at/all: cannot be read: No such file"));
  }
}

}  // namespace
}  // namespace attune
