// The commands of the program with tensors.
#pragma once

#include <span>

#include "attune/cli/command.h"

namespace attune::cli {

/// Every command that attune-engine runs, in alphabetical order.
std::span<const Command> engine_commands();

}  // namespace attune::cli
