// What help says of objectives.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "attune/objective/needs.h"

namespace attune::cli {

/// The rows that a term learns from: "pairs", "scored pairs", "labels" or "rankings".
std::string_view rows_of(const objective::Needs& needs);

/// All that a term must be given, in words.
std::string needs_text(const objective::Needs& needs);

/// A line a kind: its name, what it learns from, what it is.
std::string objective_list();

/// One kind with its options, their bounds, its paper and the advice; nothing for another name.
std::optional<std::string> objective_help(std::string_view kind);

/// Every kind as objective_help has it.
std::string objectives_help();

}  // namespace attune::cli
