#include "attune/train/folder_lock.h"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "attune/core/error.h"

namespace attune::train {

FolderLock::FolderLock(const std::filesystem::path& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  check(!failed, "train.output: {} cannot be made: {}", folder.string(), failed.message());
  descriptor_ = ::open((folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  check(descriptor_ >= 0,
        "train.output: {} cannot be written: {}",
        folder.string(),
        std::error_code(errno, std::generic_category()).message());
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    ::close(descriptor_);
    throw Error(fmt::format(
        "train.output: another run is writing to {}; wait for it or choose another folder",
        folder.string()));
  }
}

FolderLock::~FolderLock() {
  ::close(descriptor_);
}

}  // namespace attune::train
