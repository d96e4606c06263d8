#include "attune/report/append.h"

#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "attune/core/error.h"
#include "attune/core/file.h"

namespace attune::report {
namespace {

TEST(AppendWhole, AFileThatCannotGrowIsLeftAsItWas) {
  const auto path = std::filesystem::path(testing::TempDir()) / "report_append_limit";
  std::filesystem::remove(path);
  const int descriptor = open_to_append(path);
  append_whole(descriptor, path, "first\n");
  rlimit old_limit = {};
  getrlimit(RLIMIT_FSIZE, &old_limit);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  // Room for 3 more bytes: the write stores them, then fails.
  const rlimit limit = {.rlim_cur = 9, .rlim_max = old_limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  std::string message;
  try {
    append_whole(descriptor, path, "second\n");
  } catch (const Error& e) {
    message = e.what();
  }
  setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_THAT(message,
              testing::HasSubstr("report_append_limit: cannot be written: File too large"));
  EXPECT_EQ(read_file(path), "first\n");
  ::close(descriptor);
}

TEST(OpenToAppend, AMissingFolderIsNamed) {
  try {
    open_to_append("no/such/folder/file");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("no/such/folder/file: cannot be opened"));
  }
}

}  // namespace
}  // namespace attune::report
