#include "attune/core/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/core/error.h"

namespace attune {
namespace {

namespace fs = std::filesystem;

fs::path scratch(const std::string& name) {
  const fs::path path = fs::path(testing::TempDir()) / ("core_file_" + name);
  fs::remove_all(path);
  fs::create_directories(path);
  return path;
}

TEST(WriteFile, WhatWasWrittenIsReadBack) {
  const fs::path file = scratch("back") / "a.txt";
  write_file(file, std::string_view("one\0two", 7));
  EXPECT_EQ(read_file(file), std::string_view("one\0two", 7));
}

TEST(WriteFile, AnUncommittedFileLeavesTheOldOneAndNothingElse) {
  const fs::path folder = scratch("uncommitted");
  write_file(folder / "a.txt", "old");
  {
    AtomicFile file(folder / "a.txt");
    file.write("half of the n");
  }
  EXPECT_EQ(read_file(folder / "a.txt"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 1);
}

TEST(ReadFile, AMissingFileIsNamed) {
  try {
    read_file("no/such/file.yaml");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("no/such/file.yaml: cannot be read: No such file"));
  }
}

TEST(ReadFile, AnEndlessDeviceIsRefused) {
  try {
    read_file("/dev/zero");
    FAIL() << "expected an Error";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "/dev/zero: expected a file, got a device");
  }
}

TEST(WriteFolder, AFillThatThrowsLeavesTheOldFolder) {
  const fs::path folder = scratch("folder") / "step-1";
  write_folder(folder, [](const fs::path& at) { write_file(at / "a", "old"); });
  EXPECT_THROW(write_folder(folder,
                            [](const fs::path& at) {
                              write_file(at / "a", "new");
                              throw Error("stop");
                            }),
               Error);
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.parent_path()), fs::directory_iterator()),
            1);
}

TEST(WriteFolder, ANewFolderReplacesTheOldOne) {
  const fs::path folder = scratch("replace") / "step-1";
  write_folder(folder, [](const fs::path& at) { write_file(at / "a", "old"); });
  write_folder(folder, [](const fs::path& at) { write_file(at / "b", "new"); });
  EXPECT_FALSE(fs::exists(folder / "a"));
  EXPECT_EQ(read_file(folder / "b"), "new");
}

TEST(WriteFolder, AFolderOfTheUsersWithASimilarNameStays) {
  const fs::path folder = scratch("similar");
  fs::create_directories(folder / "step-1.old");
  write_file(folder / "step-1.old" / "notes", "mine");
  for (const char* text : {"old", "new"}) {
    write_folder(folder / "step-1", [&](const fs::path& at) { write_file(at / "a", text); });
  }
  EXPECT_EQ(read_file(folder / "step-1" / "a"), "new");
  EXPECT_EQ(read_file(folder / "step-1.old" / "notes"), "mine");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 2);
}

TEST(WriteFolder, AnErrorNamesThePlaceThatWasAskedFor) {
  const fs::path folder = scratch("named") / "step-1";
  try {
    write_folder(folder, [](const fs::path& at) { write_file(at / "no" / "a", "text"); });
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr((folder / "no" / "a").string() + ": cannot be"));
  }
}

TEST(Temporary, WhatIsNotKeptGoes) {
  const fs::path folder = scratch("temporary");
  for (const bool keep : {false, true}) {
    Temporary part(folder / (keep ? "kept" : "gone"));
    fs::create_directories(part.path() / "deep");
    if (keep) {
      part.keep();
    }
  }
  EXPECT_TRUE(fs::exists(folder / "kept" / "deep"));
  EXPECT_FALSE(fs::exists(folder / "gone"));
}

}  // namespace
}  // namespace attune
