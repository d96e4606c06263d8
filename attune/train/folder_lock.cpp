#include "attune/train/folder_lock.h"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attune/core/error.h"

namespace attune::train {

namespace {

namespace fs = std::filesystem;

// Whether the open file is still the one of that name: a holder that ends removes it.
bool is_still_at(int descriptor, const fs::path& path) {
  struct stat held = {};
  struct stat named = {};
  return ::fstat(descriptor, &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
         held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

}  // namespace

FolderLock::FolderLock(const fs::path& folder) : folder_(fs::absolute(folder).lexically_normal()) {
  if (!folder_.has_filename()) {  // written with a slash at its end
    folder_ = folder_.parent_path();
  }
  std::error_code failed;
  for (fs::path part = folder_; !fs::exists(part, failed) && part.has_relative_path();
       part = part.parent_path()) {
    made_.push_back(part);
  }
  fs::create_directories(folder, failed);
  check(!failed, "train.output: {} cannot be made: {}", folder.string(), failed.message());
  const fs::path file = folder_ / ".lock";
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  check(descriptor_ >= 0,
        "train.output: {} cannot be written: {}",
        folder.string(),
        std::error_code(errno, std::generic_category()).message());
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 || !is_still_at(descriptor_, file)) {
    ::close(descriptor_);
    throw Error(fmt::format(
        "train.output: another run is writing to {}; wait for it or choose another folder",
        folder.string()));
  }
}

// A run that was refused before it wrote anything leaves no folder behind.
FolderLock::~FolderLock() {
  std::error_code ignored;
  fs::directory_iterator second(folder_, ignored);
  second.increment(ignored);  // past the lock
  if (!ignored && second == fs::directory_iterator()) {
    fs::remove(folder_ / ".lock", ignored);
    for (const fs::path& part : made_) {
      ::rmdir(part.c_str());  // fails if another run put something there: then it stays
    }
  }
  ::close(descriptor_);
}

}  // namespace attune::train
