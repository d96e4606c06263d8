#include "attune/cli/terminal.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "attune/core/error.h"
#include "attune/core/hint.h"

namespace attune::cli {
namespace {

constexpr double kBarInterval_s = 0.1;
constexpr double kLineInterval_s = 10;
constexpr std::array<std::string_view, 3> kLogKinds{"text", "json", "quiet"};

Terminal::Screen standard_error() {
  Terminal::Screen screen;
  screen.is_terminal = isatty(STDERR_FILENO) == 1;
  winsize size{};
  if (screen.is_terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    screen.columns = size.ws_col;
  }
  screen.now_s = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  return screen;
}

}  // namespace

LogKind parse_log_kind(std::string_view text) {
  const auto found = std::ranges::find(kLogKinds, text);
  check(found != kLogKinds.end(),
        "--log must be one of text, json, quiet, got {}.{}",
        text,
        did_you_mean(text, kLogKinds));
  return static_cast<LogKind>(found - kLogKinds.begin());
}

Terminal::Terminal(LogKind kind) : Terminal(kind, standard_error()) {}

Terminal::Terminal(LogKind kind, Screen screen) : kind_(kind), screen_(std::move(screen)) {}

Terminal::~Terminal() {
  clear_bar();
}

void Terminal::progress(std::string_view task, int64_t done, int64_t total) {
  if (kind_ == LogKind::kQuiet) {
    return;
  }
  const std::lock_guard lock(mutex_);
  const double now = screen_.now_s();
  if (!task_ || task_->name != task) {
    task_ = Task{.name = std::string(task), .start_s = now, .shown_s = now, .first_done = done};
    if (!screen_.is_terminal) {
      return;  // short work says nothing elsewhere than on a terminal
    }
    task_->shown_s = now - kBarInterval_s;
  }
  const bool finished = total > 0 && done >= total;
  const double interval =
      screen_.is_terminal && kind_ == LogKind::kText ? kBarInterval_s : kLineInterval_s;
  const bool worth_a_last_line = task_->shown_s > task_->start_s || screen_.is_terminal;
  if (now - task_->shown_s >= interval || (finished && worth_a_last_line)) {
    task_->shown_s = now;
    show(*task_, done, total, finished);
  }
  if (finished) {
    task_.reset();
  }
}

void Terminal::show(const Task& task, int64_t done, int64_t total, bool finished) {
  const double spent_s = screen_.now_s() - task.start_s;
  const int64_t fresh = done - task.first_done;
  const double left_s = total > 0 && fresh > 0 ? spent_s * static_cast<double>(total - done) /
                                                     static_cast<double>(fresh)
                                               : -1;
  if (kind_ == LogKind::kJson) {
    put(screen_.out,
        fmt::format(
            "{{\"event\": \"progress\", \"task\": {}, \"done\": {}, \"total\": {}, \"spent_s\": "
            "{:.1f}}}\n",
            json_text(task.name),
            done,
            total,
            spent_s));
    return;
  }
  std::string text = fmt::format("{}  {}", task.name, count_text(done));
  if (total > 0) {
    text += fmt::format(" of {}", count_text(total));
  }
  if (finished) {
    text += fmt::format(", {}", time_text(spent_s));
  } else if (left_s >= 0) {
    text += fmt::format(", {} left", time_text(left_s));
  }
  if (!screen_.is_terminal) {
    put(screen_.out, fmt::format("{}\n", text));
    return;
  }
  constexpr int kCells = 20;
  if (total > 0) {
    const auto full = static_cast<int>(kCells * std::clamp(done, int64_t{0}, total) / total);
    text = fmt::format("[{:#<{}}{:.<{}}] {:3} %  ",
                       "",
                       full,
                       "",
                       kCells - full,
                       100 * std::clamp(done, int64_t{0}, total) / total) +
           text;
  }
  const auto width = static_cast<size_t>(std::max(20, screen_.columns - 1));
  put(screen_.out, fmt::format("\r\x1b[K{}{}", text.substr(0, width), finished ? "\n" : ""));
  bar_drawn_ = !finished;
}

void Terminal::clear_bar() {
  if (bar_drawn_) {
    put(screen_.out, "\r\x1b[K");
    bar_drawn_ = false;
  }
}

void Terminal::note(std::string_view line) {
  if (kind_ != LogKind::kQuiet) {
    say("note", line);
  }
}

void Terminal::warn(std::string_view line) {
  say("warning", line);
}

void Terminal::say(std::string_view event, std::string_view line) {
  const std::lock_guard lock(mutex_);
  clear_bar();
  if (kind_ == LogKind::kJson) {
    put(screen_.out, fmt::format("{{\"event\": \"{}\", \"text\": {}}}\n", event, json_text(line)));
  } else {
    put(screen_.out, fmt::format("{}{}\n", event == "warning" ? "warning: " : "", line));
  }
}

void put(std::FILE* out, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), out);
  std::fflush(out);
}

std::string time_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::clamp(seconds, 0.0, 1e12)));
  if (whole == 0) {
    return "under 1 s";
  }
  if (whole < 60) {
    return fmt::format("{} s", whole);
  }
  if (whole < 3600) {
    return fmt::format("{} min {} s", whole / 60, whole % 60);
  }
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string count_text(int64_t count) {
  const std::string digits = fmt::format("{}", count);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    const size_t left = digits.size() - i;
    if (left % 3 == 0 && !out.empty() && out.back() != '-') {
      out += ',';
    }
    out += digits[i];
  }
  return out;
}

std::string items_text(int64_t comparisons, int64_t labels) {
  const std::string compared = fmt::format("{} comparisons", count_text(comparisons));
  const std::string labelled = fmt::format("{} labels", count_text(labels));
  return labels == 0        ? compared
         : comparisons == 0 ? labelled
                            : fmt::format("{} and {}", compared, labelled);
}

std::string size_text(int64_t bytes) {
  constexpr std::array kUnits{"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.95 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace attune::cli
