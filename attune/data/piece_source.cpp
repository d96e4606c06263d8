#include "attune/data/piece_source.h"

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include <zlib.h>

#include "attune/core/error.h"

namespace attune::data {

struct PieceSource::Impl {
  explicit Impl(std::filesystem::path file_path) : path(std::move(file_path)), buffer(1 << 18) {
    file = ::gzopen(path.c_str(), "rbe");
    check(file != nullptr,
          "{}: cannot be read: {}",
          path.string(),
          std::error_code(errno, std::generic_category()).message());
  }
  ~Impl() {
    ::gzclose(file);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::filesystem::path path;
  std::vector<char> buffer;
  gzFile file = nullptr;
  bool at_start = true;
};

PieceSource::PieceSource(std::filesystem::path path)
    : impl_(std::make_unique<Impl>(std::move(path))) {}
PieceSource::~PieceSource() = default;
PieceSource::PieceSource(PieceSource&&) noexcept = default;
PieceSource& PieceSource::operator=(PieceSource&&) noexcept = default;

std::string_view PieceSource::next() {
  Impl& self = *impl_;
  const int got =
      ::gzread(self.file, self.buffer.data(), static_cast<unsigned>(self.buffer.size()));
  int code = Z_OK;
  std::string_view reason = ::gzerror(self.file, &code);
  const std::string own = self.path.string() + ": ";  // zlib names the file first
  reason.remove_prefix(reason.starts_with(own) ? own.size() : 0);
  // A file cut inside a member gives its last bytes first and the error with them.
  check(got >= 0 && (code == Z_OK || code == Z_STREAM_END),
        "{}: cannot be read: {}. Is the download complete?",
        self.path.string(),
        reason);
  std::string_view piece(self.buffer.data(), static_cast<size_t>(got));
  if (std::exchange(self.at_start, false) && piece.starts_with("\xEF\xBB\xBF")) {
    piece.remove_prefix(3);
  }
  return piece;
}

const std::filesystem::path& PieceSource::path() const {
  return impl_->path;
}

}  // namespace attune::data
