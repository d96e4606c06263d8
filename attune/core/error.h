// The two kinds of error, and the check that throws them. What may be thrown where, and how a
// message reads: docs/STYLE.md, "Errors".
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace attune {

/// Something that the user can mend: an option, a file, a row, a shape, the disk.
/// The message reads "where: what is wrong, expected, got. What to do."
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A promise broken inside attune: a bug to report.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Throws Error with the formatted message unless `ok`. Not for inner loops: the arguments are
/// evaluated every time.
template <class... Args>
void check(bool ok, fmt::format_string<Args...> message, Args&&... args) {
  if (!ok) [[unlikely]] {
    throw Error(fmt::format(message, std::forward<Args>(args)...));
  }
}

/// The same for promises of attune to itself: throws InternalError.
template <class... Args>
void ensure(bool ok, fmt::format_string<Args...> message, Args&&... args) {
  if (!ok) [[unlikely]] {
    throw InternalError(fmt::format(message, std::forward<Args>(args)...));
  }
}

}  // namespace attune
