#include "attune/cli/plain_commands.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "attune/cli/catalog.h"
#include "attune/cli/engine.h"
#include "attune/cli/run_line.h"
#include "attune/core/error.h"
#include "attune/core/hint.h"
#include "attune/core/version.h"

namespace attune::cli {
namespace {

constexpr std::array kPlainCommands{
    Command{"config", config},
    Command{"data", data},
    Command{"inspect", inspect},
};

// What can be said of a tensor command without tensors: its help, and errors of its run file. False
// if there is nothing left to do.
bool prepare_engine(Arguments arguments) {
  for (const Usage* usage : {&kTrainUsage, &kPlanUsage}) {
    if (usage->name == arguments[0]) {
      const std::optional<RunLine> line = read_run_line(*usage, arguments.subspan(1));
      if (!line) {
        return false;
      }
      train::check_run(line->run);
      check_paths(line->run);
    }
  }
  return true;
}

int help(Arguments arguments) {
  if (arguments.empty() || arguments[0].starts_with("-") || arguments[0] == "help") {
    fmt::print("{}", overview());
    return kGood;
  }
  std::vector<std::string_view> asked(arguments.begin(), arguments.end());
  asked.push_back("--help");
  return run_plain(asked);
}

}  // namespace

int run_plain(Arguments arguments) {
  check(!arguments.empty(), "no command. Try: attune --help");
  const std::string_view first = arguments[0];
  if (first == "--help" || first == "-h") {
    fmt::print("{}", overview());
    return kGood;
  }
  if (first == "--version") {
    fmt::print("attune {}\n", kVersion);
    return kGood;
  }
  if (first.starts_with("-")) {
    constexpr std::array<std::string_view, 2> kKnown{"--help", "--version"};
    throw Error(
        fmt::format("no flag {} before the command.{}", first, did_you_mean(first, kKnown)));
  }
  if (first == "help") {
    return help(arguments.subspan(1));
  }
  if (!find_in_catalog(first).engine) {
    return run_command(kPlainCommands, arguments, "command");
  }
  if (!prepare_engine(arguments)) {
    return kGood;
  }
  become_engine(arguments);
}

}  // namespace attune::cli
