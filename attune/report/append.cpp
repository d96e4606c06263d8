#include "attune/report/append.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attune/core/error.h"

namespace attune::report {

int open_to_append(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  check(descriptor >= 0, "{}: cannot be opened for writing: {}", path.string(), strerror(errno));
  return descriptor;
}

void append_whole(int descriptor, const std::filesystem::path& path, std::string_view bytes) {
  struct stat before = {};
  const bool has_size = ::fstat(descriptor, &before) == 0 && S_ISREG(before.st_mode);
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      const int reason = errno;
      const bool restored = has_size && ::ftruncate(descriptor, before.st_size) == 0;
      throw Error(fmt::format("{}: cannot be written: {}.{}",
                              path.string(),
                              strerror(reason),
                              restored ? "" : " Its end may be torn."));
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace attune::report
