#include "attune/io/mapped_file.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attune/core/error.h"

namespace attune::io {
namespace {

std::string system_reason() {
  return std::error_code(errno, std::generic_category()).message();
}

void unmap(std::span<const std::byte> bytes) {
  if (!bytes.empty()) {
    ::munmap(const_cast<std::byte*>(bytes.data()), bytes.size());
  }
}

}  // namespace

MappedFile::MappedFile(std::filesystem::path path) : path_(std::move(path)) {
  // O_NONBLOCK: opening a pipe must not wait for a writer before it can be refused.
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  check(descriptor >= 0, "{}: cannot be read: {}", path_.string(), system_reason());
  struct ::stat status = {};
  ::fstat(descriptor, &status);
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor);
    throw Error(fmt::format("{}: expected a regular file, got {}",
                            path_.string(),
                            S_ISDIR(status.st_mode) ? "a folder" : "a device or pipe"));
  }
  const auto size = static_cast<size_t>(status.st_size);
  if (size == 0) {
    ::close(descriptor);
    return;
  }
  void* const start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const std::string why = start == MAP_FAILED ? system_reason() : "";
  ::close(descriptor);
  check(start != MAP_FAILED, "{}: cannot be mapped ({} bytes): {}", path_.string(), size, why);
  bytes_ = {static_cast<const std::byte*>(start), size};
}

MappedFile::~MappedFile() {
  unmap(bytes_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void MappedFile::prefetch() const {
  if (!bytes_.empty()) {
    ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_WILLNEED);
  }
}

void MappedFile::release() const {
  if (!bytes_.empty()) {
    ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
  }
}

}  // namespace attune::io
