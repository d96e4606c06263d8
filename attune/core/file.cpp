#include "attune/core/file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attune/core/error.h"

namespace attune {
namespace {

namespace fs = std::filesystem;

std::string reason() {
  return std::error_code(errno, std::generic_category()).message();
}

fs::path beside(const fs::path& path) {
  fs::path temporary = path;
  temporary += fmt::format(".tmp{}", ::getpid());
  return temporary;
}

void sync_path(const fs::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  check(descriptor >= 0, "{}: cannot be opened to flush it: {}", path.string(), reason());
  const int failed = ::fsync(descriptor);
  const std::string why = failed != 0 ? reason() : "";
  ::close(descriptor);
  // Some file systems cannot flush a folder; the rename is then as durable as they make it.
  check(failed == 0 || (flags & O_DIRECTORY) != 0,
        "{}: cannot be written to the disk: {}",
        path.string(),
        why);
}

void sync_parent(const fs::path& path) {
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  sync_path(parent, O_RDONLY | O_DIRECTORY);
}

}  // namespace

std::string read_file(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  check(descriptor >= 0, "{}: cannot be read: {}", path.string(), reason());
  struct ::stat status = {};
  ::fstat(descriptor, &status);
  if (S_ISDIR(status.st_mode)) {
    ::close(descriptor);
    throw Error(fmt::format("{}: expected a file, got a folder", path.string()));
  }
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = ::read(descriptor, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      const std::string why = reason();
      ::close(descriptor);
      throw Error(
          fmt::format("{}: reading failed after {} bytes: {}", path.string(), text.size(), why));
    }
    if (got == 0) {
      break;
    }
    text.append(buffer, static_cast<size_t>(got));
  }
  ::close(descriptor);
  return text;
}

void write_file(const fs::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), temporary_(beside(path_)) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  check(descriptor_ >= 0, "{}: cannot be written: {}", path_.string(), reason());
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
  }
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  ensure(descriptor_ >= 0, "AtomicFile {}: write after commit", path_.string());
  while (!bytes.empty()) {
    const ssize_t put = ::write(descriptor_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) {
      continue;
    }
    check(put >= 0,
          "{}: cannot be written: {}. Free some space or write elsewhere",
          path_.string(),
          reason());
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void AtomicFile::commit() {
  ensure(descriptor_ >= 0, "AtomicFile {}: committed twice", path_.string());
  check(
      ::fsync(descriptor_) == 0, "{}: cannot be written to the disk: {}", path_.string(), reason());
  check(::close(std::exchange(descriptor_, -1)) == 0,
        "{}: cannot be written: {}",
        path_.string(),
        reason());
  check(::rename(temporary_.c_str(), path_.c_str()) == 0,
        "{}: cannot be renamed into place: {}",
        path_.string(),
        reason());
  temporary_.clear();
  sync_parent(path_);
}

void write_folder(const fs::path& path, const std::function<void(const fs::path&)>& fill) {
  const fs::path temporary = beside(path);
  fs::remove_all(temporary);
  std::error_code failed;
  fs::create_directories(temporary, failed);
  check(!failed, "{}: cannot be made: {}", path.string(), failed.message());
  try {
    fill(temporary);
    for (const auto& entry : fs::recursive_directory_iterator(temporary)) {
      sync_path(entry.path(), entry.is_directory() ? O_RDONLY | O_DIRECTORY : O_RDONLY);
    }
    sync_path(temporary, O_RDONLY | O_DIRECTORY);
    fs::path old = path;
    old += ".old";
    fs::remove_all(old);
    if (fs::exists(path)) {
      fs::rename(path, old);
    }
    fs::rename(temporary, path);
    sync_parent(path);
    fs::remove_all(old);
  } catch (const fs::filesystem_error& e) {
    fs::remove_all(temporary, failed);
    throw Error(fmt::format("{}: cannot be written: {}", path.string(), e.code().message()));
  } catch (...) {
    fs::remove_all(temporary, failed);
    throw;
  }
}

}  // namespace attune
