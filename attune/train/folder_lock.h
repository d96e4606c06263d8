#pragma once

#include <filesystem>

namespace attune::train {

/// Holds an output folder: two runs in one would tear each other's files. The folder is made if it
/// is not there; a killed holder lets go by itself.
class FolderLock {
 public:
  /// @throws Error if another process holds it, or it cannot be made or written.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace attune::train
