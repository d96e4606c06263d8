// How long work looks to whoever started it: a bar on a terminal, lines elsewhere, or JSON.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "attune/core/progress.h"

namespace attune::cli {

/// `--log`: lines for people, one JSON object a line, or warnings only.
enum class LogKind { kText, kJson, kQuiet };

/// @throws Error for another text than text, json or quiet.
LogKind parse_log_kind(std::string_view text);

/// Prints progress, notes and warnings to stderr. Calls may come from several threads.
class Terminal : public Watcher {
 public:
  /// Where it prints, and what tells it the time: a test gives its own.
  struct Screen {
    std::FILE* out = stderr;
    bool is_terminal = false;            ///< A bar that moves, instead of lines.
    int columns = 80;                    ///< Width of the bar's line.
    std::function<double()> now_s = {};  ///< Seconds since any start; never goes back.
  };

  /// stderr and the steady clock.
  explicit Terminal(LogKind kind);
  Terminal(LogKind kind, Screen screen);
  /// Ends the bar's line.
  ~Terminal() override;

  void progress(std::string_view task, int64_t done, int64_t total) override;
  void note(std::string_view line) override;
  void warn(std::string_view line) override;

 private:
  struct Task {
    std::string name;
    double start_s = 0;
    double shown_s = 0;
    int64_t first_done = 0;  ///< Units that were ready when it began: a cache, a resume.
  };

  void say(std::string_view event, std::string_view line);
  void show(const Task& task, int64_t done, int64_t total, bool finished);
  void clear_bar();

  LogKind kind_;
  Screen screen_;
  std::mutex mutex_;
  std::optional<Task> task_;
  bool bar_drawn_ = false;
};

/// Writes as far as `out` takes it: work goes on when its progress cannot be shown.
void put(std::FILE* out, std::string_view text);

/// "45 s", "3 min 20 s", "2 h 5 min".
std::string time_text(double seconds);
/// "1,234,567".
std::string count_text(int64_t count);
/// "39 comparisons", "12 labels" or "39 comparisons and 12 labels".
std::string items_text(int64_t comparisons, int64_t labels);
/// "98.4 MB": decimal units.
std::string size_text(int64_t bytes);
/// A JSON string, quotes included.
std::string json_text(std::string_view text);

}  // namespace attune::cli
