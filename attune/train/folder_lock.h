#pragma once

#include <filesystem>
#include <vector>

namespace attune::train {

/// Holds an output folder: two runs in one would tear each other's files. The folder is made if it
/// is not there; a killed holder lets go by itself. If nothing but the lock is in the folder at the
/// end, the lock goes, and the folders that were made for it.
class FolderLock {
 public:
  /// @throws Error if another process holds it, or it cannot be made or written.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::filesystem::path folder_;
  std::vector<std::filesystem::path> made_;  // deepest first
  int descriptor_ = -1;
};

}  // namespace attune::train
