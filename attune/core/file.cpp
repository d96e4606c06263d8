#include "attune/core/file.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <stdio.h>  // renameat2
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

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

// The folder gets its name; what had it before has the temporary name afterwards.
void put_in_place(const fs::path& temporary, const fs::path& path) {
  if (!fs::exists(fs::symlink_status(path))) {
    fs::rename(temporary, path);
    return;
  }
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) {
    return;
  }
  // A file system that cannot exchange names.
  const Temporary old(temporary.string() + ".old");
  fs::rename(path, old.path());
  std::error_code failed;
  fs::rename(temporary, path, failed);
  if (failed) {
    fs::rename(old.path(), path);
    throw fs::filesystem_error("", failed);
  }
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
  if (S_ISCHR(status.st_mode) && ::isatty(descriptor) == 0) {
    ::close(descriptor);
    throw Error(fmt::format("{}: expected a file, got a device", path.string()));
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
  descriptor_ = ::open(temporary_.path().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  check(descriptor_ >= 0, "{}: cannot be written: {}", path_.string(), reason());
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
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
  // One after the other: the order in which a call's arguments are made is not fixed.
  bool good = ::fsync(descriptor_) == 0;
  check(good, "{}: cannot be written to the disk: {}", path_.string(), reason());
  good = ::close(std::exchange(descriptor_, -1)) == 0;
  check(good, "{}: cannot be written: {}", path_.string(), reason());
  good = ::rename(temporary_.path().c_str(), path_.c_str()) == 0;
  check(good, "{}: cannot be renamed into place: {}", path_.string(), reason());
  temporary_.keep();
  sync_parent(path_);
}

void write_folder(const fs::path& path, const std::function<void(const fs::path&)>& fill) {
  const Temporary made(beside(path));
  const fs::path& temporary = made.path();
  try {
    fs::remove_all(temporary);
    fs::create_directories(temporary);
    fill(temporary);
    for (const auto& entry : fs::recursive_directory_iterator(temporary)) {
      sync_path(entry.path(), entry.is_directory() ? O_RDONLY | O_DIRECTORY : O_RDONLY);
    }
    sync_path(temporary, O_RDONLY | O_DIRECTORY);
    put_in_place(temporary, path);
    sync_parent(path);
  } catch (const fs::filesystem_error& e) {
    throw Error(fmt::format("{}: cannot be written: {}", path.string(), e.code().message()));
  } catch (const Error& e) {
    throw Error(replaced(e.what(), temporary.string(), path.string()));
  }
}

}  // namespace attune
