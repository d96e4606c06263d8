// Ctrl-C, SIGTERM and a closed terminal: what is half written goes, and the process leaves with
// status 130; or, where work can be saved, the first signal only asks.
#pragma once

#include <filesystem>

namespace attune {

/// Thrown where work was stopped because of stop_requested().
struct Stopped {};

/// To be called first in main: from now on SIGINT, SIGTERM and SIGHUP (unless it is ignored, as
/// under nohup) end the process with status 130, once the Temporary paths are removed. Lets through
/// what hold_stop_signals() held back.
void leave_on_stop_signals();

/// From now on the first signal sets a flag; a second one leaves at once.
/// @param wakes_reads  It also ends a read that waits, for a person's next line for instance; a
///                     write may then end early too.
void catch_stop_signals(bool wakes_reads = false);

/// Keeps signals waiting over an exec: the program that begins lets them through when it can handle
/// them.
void hold_stop_signals();

/// Whether a stop was asked for after catch_stop_signals(). Read once a step.
bool stop_requested();

/// A file or folder that is not finished: it goes when the process is stopped by a signal, and with
/// this object.
class Temporary {
 public:
  /// Nothing has to be there yet.
  explicit Temporary(std::filesystem::path path);
  /// Removes what is there.
  ~Temporary();
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const {
    return path_;
  }
  /// It has its name now and stays: there is nothing to remove any more.
  void keep();

 private:
  std::filesystem::path path_;
  bool kept_ = false;
};

}  // namespace attune
