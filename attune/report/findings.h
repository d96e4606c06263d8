// What the numbers of a run say, in sentences.
#pragma once

#include <string>

#include "attune/report/report.h"

namespace attune::report {

/// The run in a sentence or two.
struct Verdict {
  std::string html = {};  ///< with the figures in <strong>; all else is attune's own text.
  std::string tone = {};  ///< class of the style sheet: "good", "flat", "bad" or "plain".
};

/// Whether the held-out accuracy rose, and whether chance could explain it; without it, what the
/// evaluations or the training loss say.
Verdict verdict_of(const RunReport& run);

/// A sentence on likelihood displacement if the log-probability of the chosen answers fell while
/// accuracy did not; else what to look for in the curves; "" without log-probabilities.
std::string displacement_note(const RunReport& run);

}  // namespace attune::report
