#include "attune/io/gzip.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "attune/core/error.h"

namespace attune::io {

bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

namespace {

constexpr size_t kChunkBytes = size_t{256} << 10;

// A file's bytes, piece by piece.
class RawFile {
 public:
  explicit RawFile(const std::filesystem::path& path) : path_(path.string()) {
    descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    check(descriptor_ >= 0, "{}: cannot be read: {}", path_, reason_text());
    struct ::stat status = {};
    ::fstat(descriptor_, &status);
    if (S_ISDIR(status.st_mode)) {
      ::close(descriptor_);
      throw Error(fmt::format("{}: expected a file, got a folder", path_));
    }
    ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  ~RawFile() {
    ::close(descriptor_);
  }
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;

  // Fills `out` unless the file ends; gives the number of bytes.
  size_t read(std::span<char> out) {
    size_t filled = 0;
    while (filled < out.size()) {
      const ssize_t got = ::read(descriptor_, out.data() + filled, out.size() - filled);
      if (got < 0 && errno == EINTR) {
        continue;
      }
      check(got >= 0, "{}: reading failed at byte {}: {}", path_, offset_, reason_text());
      if (got == 0) {
        break;
      }
      filled += static_cast<size_t>(got);
      offset_ += got;
    }
    return filled;
  }

  [[nodiscard]] const std::string& path() const {
    return path_;
  }

 private:
  static std::string reason_text() {
    return std::error_code(errno, std::generic_category()).message();
  }

  std::string path_;
  int descriptor_ = -1;
  int64_t offset_ = 0;
};

// Undoes gzip of one or more members.
class Inflater {
 public:
  explicit Inflater(std::string path) : path_(std::move(path)) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    ensure(::inflateInit2(&stream_, kGzipOnly) == Z_OK, "zlib does not start");
  }
  ~Inflater() {
    ::inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Takes new compressed bytes; only when need_input(). They must stay until the next call.
  void feed(std::span<const char> input) {
    offset_ += consumed_end_;
    consumed_end_ = static_cast<int64_t>(input.size());
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
  }
  [[nodiscard]] bool need_input() const {
    return stream_.avail_in == 0 && !output_waits_;
  }

  // Decompresses into `out`; gives the number of bytes.
  size_t inflate_into(std::span<char> out) {
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    while (stream_.avail_out > 0 && (stream_.avail_in > 0 || output_waits_)) {
      if (at_member_end_ && !begin_member()) {
        break;
      }
      const int status = ::inflate(&stream_, Z_NO_FLUSH);
      check(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR,
            "{}: the gzip data is broken at byte {}: {}",
            path_,
            input_offset(),
            stream_.msg != nullptr ? stream_.msg : "unknown reason");
      at_member_end_ = status == Z_STREAM_END;
      // Z_OK with a full output may leave more in zlib's window even if no input is left.
      output_waits_ = status == Z_OK && stream_.avail_out == 0;
    }
    return out.size() - stream_.avail_out;
  }

  // Call at the end of the file.
  void finish() const {
    check(at_member_end_,
          "{}: the gzip data is cut off at byte {}. Is the download complete?",
          path_,
          input_offset());
  }

 private:
  // Between members; zeros there are padding of tapes and block devices.
  bool begin_member() {
    while (stream_.avail_in > 0 && *stream_.next_in == 0) {
      ++stream_.next_in;
      --stream_.avail_in;
    }
    if (stream_.avail_in == 0) {
      return false;
    }
    ensure(::inflateReset(&stream_) == Z_OK, "zlib does not start again");
    at_member_end_ = false;
    return true;
  }

  [[nodiscard]] int64_t input_offset() const {
    return offset_ + consumed_end_ - static_cast<int64_t>(stream_.avail_in);
  }

  std::string path_;
  z_stream stream_ = {};
  int64_t offset_ = 0;        // of the input in the file
  int64_t consumed_end_ = 0;  // length of the input
  bool at_member_end_ = false;
  bool output_waits_ = false;
};

}  // namespace

struct TextSource::Impl {
  Impl(std::filesystem::path file_path, TextSourceLimits file_limits)
      : path(std::move(file_path)), limits(file_limits), file(path), input(kChunkBytes) {
    // The first bytes say what the file is.
    const size_t got = file.read(input);
    const std::span<const char> first(input.data(), got);
    if (is_gzip(std::as_bytes(first))) {
      inflater = std::make_unique<Inflater>(file.path());
      inflater->feed(first);
    } else {
      buffer.assign(first.data(), first.size());
      at_end = got < input.size();
    }
    while (buffer.size() < 3 && !at_end) {
      refill();
    }
    if (buffer.starts_with("\xEF\xBB\xBF")) {
      begin = 3;
    }
  }

  // Appends the next piece of text to the buffer, or sets at_end.
  void refill() {
    const size_t old = buffer.size();
    buffer.resize(old + kChunkBytes);
    const std::span<char> room(buffer.data() + old, kChunkBytes);
    size_t got = 0;
    if (inflater == nullptr) {
      got = file.read(room);
      at_end = got < room.size();
    } else {
      while (got == 0 && !at_end) {
        if (inflater->need_input()) {
          const size_t fed = file.read(input);
          if (fed == 0) {
            inflater->finish();
            at_end = true;
          }
          inflater->feed({input.data(), fed});
        }
        got = inflater->inflate_into(room);
      }
    }
    buffer.resize(old + got);
  }

  std::filesystem::path path;
  TextSourceLimits limits;
  RawFile file;
  std::vector<char> input;  // compressed bytes, or the first piece of a plain file
  std::unique_ptr<Inflater> inflater;
  std::string buffer;  // text; what stands before `begin` was given out
  size_t begin = 0;
  bool at_end = false;
  int64_t line = 0;
};

TextSource::TextSource(std::filesystem::path path, TextSourceLimits limits)
    : impl_(std::make_unique<Impl>(std::move(path), limits)) {}
TextSource::~TextSource() = default;
TextSource::TextSource(TextSource&&) noexcept = default;
TextSource& TextSource::operator=(TextSource&&) noexcept = default;

std::optional<std::string_view> TextSource::next_line() {
  Impl& self = *impl_;
  size_t scanned = 0;
  size_t newline = std::string::npos;
  for (;;) {
    newline = self.buffer.find('\n', self.begin + scanned);
    scanned = std::min(newline, self.buffer.size()) - self.begin;
    check(scanned <= self.limits.max_line_bytes,
          "{}:{}: the line is longer than {} bytes",
          self.path.string(),
          self.line + 1,
          self.limits.max_line_bytes);
    if (newline != std::string::npos || self.at_end) {
      break;
    }
    self.buffer.erase(0, self.begin);
    self.begin = 0;
    self.refill();
  }
  if (newline == std::string::npos && scanned == 0) {
    return std::nullopt;
  }
  std::string_view line(self.buffer.data() + self.begin, scanned);
  self.begin += scanned + (newline == std::string::npos ? 0 : 1);
  ++self.line;
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return line;
}

int64_t TextSource::line_number() const {
  return impl_->line;
}

std::string TextSource::read_all() {
  Impl& self = *impl_;
  self.buffer.erase(0, self.begin);
  self.begin = 0;
  for (;;) {
    check(self.buffer.size() <= self.limits.max_total_bytes,
          "{}: the text is longer than {} bytes",
          self.path.string(),
          self.limits.max_total_bytes);
    if (self.at_end) {
      break;
    }
    self.refill();
  }
  return std::exchange(self.buffer, std::string());
}

const std::filesystem::path& TextSource::path() const {
  return impl_->path;
}

}  // namespace attune::io
