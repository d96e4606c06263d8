// The commands of the plain program.
#pragma once

#include "attune/cli/command.h"

namespace attune::cli {

/// Check, resolve, import and explain run files.
int config(Arguments arguments);
/// Count and convert preference files.
int data(Arguments arguments);
/// What is inside a model, an adapter or a checkpoint.
int inspect(Arguments arguments);

/// The whole plain program: finds the command and runs it, or becomes the engine.
int run_plain(Arguments arguments);

}  // namespace attune::cli
