// The commands of the program with tensors.
#pragma once

#include <span>

#include "attune/cli/command.h"

namespace attune::cli {

int chat_command(Arguments arguments);
int demo_command(Arguments arguments);
int doctor_command(Arguments arguments);
int generate_command(Arguments arguments);
int merge_command(Arguments arguments);
int plan_command(Arguments arguments);
int score_command(Arguments arguments);
int train_command(Arguments arguments);

/// Every command that attune-engine runs, in alphabetical order.
std::span<const Command> engine_commands();

}  // namespace attune::cli
