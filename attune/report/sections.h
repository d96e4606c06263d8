// The parts of the page, each "" if the run has nothing to show in it.
#pragma once

#include <string>

#include "attune/report/report.h"

namespace attune::report {

/// Key figures side by side.
std::string cards_section(const RunReport& run);

/// Curves over the steps.
std::string curves_section(const RunReport& run);

/// Histograms of the held-out pairs.
std::string pairs_section(const RunReport& run);

/// Prompts with the answers before and after.
std::string answers_section(const RunReport& run);

/// Options that differ from their defaults, and the run file.
std::string settings_section(const RunReport& run);

/// Counts of the data and the machine.
std::string facts_section(const RunReport& run);

/// Files, the commands to go on with and the one that reproduces the run.
std::string next_section(const RunReport& run);

}  // namespace attune::report
