// What both programs do around a command: the only catch, the only exit codes, the only printing of
// errors.
#pragma once

#include <functional>

#include "attune/cli/command.h"

namespace attune::cli {

/// Calls `run` with the program's arguments, prints what it throws, and sees that stdout was
/// written.
/// @return The exit code of the program.
int run_framed(int argc, char** argv, const std::function<int(Arguments)>& run);

}  // namespace attune::cli
