#include "attune/cli/frame.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "attune/cli/terminal.h"
#include "attune/core/error.h"
#include "attune/core/hint.h"
#include "attune/core/stop.h"
#include "attune/text/unicode.h"

namespace attune::cli {
namespace {

int print_error(std::string_view message) {
  std::fflush(stdout);
  put(stderr, fmt::format("attune: {}\n", message));
  return kUserError;
}

int print_bug(std::string_view message) {
  std::fflush(stdout);
  put(stderr,
      fmt::format("attune: internal error: {}\nThis is a bug: report it with the command and the "
                  "run file.\n",
                  message));
  return kInternalError;
}

int run_caught(Arguments arguments, const std::function<int(Arguments)>& run) try {
  const int code = run(arguments);
  const bool flushed = std::fflush(stdout) == 0;
  // What failed before the last flush has left its mark, but no longer its reason.
  check(flushed && std::ferror(stdout) == 0,
        "stdout: writing failed{}",
        flushed ? "" : fmt::format(": {}", std::strerror(errno)));
  return code;
} catch (const Stopped&) {
  std::fflush(stdout);
  return kStopped;
} catch (const Error& e) {
  return print_error(e.what());
} catch (const std::filesystem::filesystem_error& e) {
  return print_error(fmt::format("{}: {}", e.path1().string(), e.code().message()));
} catch (const std::bad_alloc&) {
  return print_error("out of memory. attune plan shows what a run needs");
} catch (const std::system_error& e) {
  return std::ferror(stdout) != 0
             ? print_error(fmt::format("stdout: writing failed: {}", e.code().message()))
             : print_bug(e.what());
} catch (const std::exception& e) {
  return print_bug(e.what());
}

}  // namespace

int run_command(std::span<const Command> table, Arguments arguments, std::string_view of) {
  check(!arguments.empty(), "no {}", of);
  const auto found = std::ranges::find(table, arguments[0], &Command::name);
  if (found != table.end()) {
    return found->run(arguments.subspan(1));
  }
  std::vector<std::string_view> names;
  std::ranges::transform(table, std::back_inserter(names), &Command::name);
  throw Error(fmt::format("no {} \"{}\".{}", of, arguments[0], did_you_mean(arguments[0], names)));
}

int run_framed(int argc, char** argv, const std::function<int(Arguments)>& run) {
  const std::vector<std::string_view> arguments(argv + std::min(argc, 1), argv + argc);
  leave_on_stop_signals();
  return run_caught(arguments, [&run](Arguments all) {
    for (const std::string_view text : all) {
      check(
          text::is_utf8(text),
          "expected arguments in UTF-8, got \"{}\". Rename the file, or set the terminal to UTF-8",
          text::repaired_utf8(text));
    }
    return run(all);
  });
}

}  // namespace attune::cli
