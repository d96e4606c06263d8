// The way from the plain program to the one with tensors.
#pragma once

#include "attune/cli/command.h"

namespace attune::cli {

/// Becomes attune-engine, which stands beside this program or in ../libexec/attune/, with the same
/// arguments. Returns only by throwing.
/// @throws Error if it is not there or cannot be started.
[[noreturn]] void become_engine(Arguments arguments);

}  // namespace attune::cli
