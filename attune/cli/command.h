// What a subcommand is, and the exit codes. The frame around all of them is frame.h.
#pragma once

#include <span>
#include <string_view>

namespace attune::cli {

inline constexpr int kGood = 0;
inline constexpr int kUserError = 2;       ///< Something that the user can mend.
inline constexpr int kInternalError = 70;  ///< A bug.
inline constexpr int kStopped = 130;       ///< Ctrl-C: what could be saved is saved.

/// What follows the command's name.
using Arguments = std::span<const std::string_view>;

/// A subcommand of a program. `run` returns an exit code, or throws Error for what the user can
/// mend.
struct Command {
  std::string_view name;
  int (*run)(Arguments arguments);
};

/// Runs the command of `table` that `arguments` begin with.
/// @param of  What messages say before the name: "command", "config command".
/// @throws Error for an unknown or missing name, with the nearest one.
int run_command(std::span<const Command> table, Arguments arguments, std::string_view of);

}  // namespace attune::cli
