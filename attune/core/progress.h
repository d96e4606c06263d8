// What a long task tells whoever watches. Library code calls a Watcher; only cli/ prints.
#pragma once

#include <cstdint>
#include <string_view>

namespace attune {

/// Receives the progress of long work. The default hears nothing.
class Watcher {
 public:
  virtual ~Watcher() = default;
  /// `done` of `total` units of `task` ("tokenising", "reference") are ready; total 0: unknown.
  virtual void progress(std::string_view task, int64_t done, int64_t total) {
    (void)task, (void)done, (void)total;
  }
  /// One line for the user.
  virtual void note(std::string_view line) {
    (void)line;
  }
  /// One line that the user should see even in quiet mode.
  virtual void warn(std::string_view line) {
    (void)line;
  }
};

}  // namespace attune
