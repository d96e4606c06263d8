// What the program tells of the objectives: the list, one in full, a run file for one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "attune/cli/command.h"

namespace attune::cli {

/// attune config objectives [KIND].
int list_objectives(Arguments arguments);

/// The part of docs/CONFIG.md that lists the objectives.
std::string objective_reference();

/// A commented run file for an objective of this kind; nothing if there is none.
std::optional<std::string> objective_example(std::string_view kind);

}  // namespace attune::cli
