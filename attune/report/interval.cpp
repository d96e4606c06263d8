#include "attune/report/interval.h"

#include <algorithm>
#include <cmath>

#include "attune/core/error.h"

namespace attune::report {

Interval wilson_interval(double successes, int64_t trials, double z) {
  check(trials >= 1, "wilson_interval: needs at least 1 trial, got {}", trials);
  const auto n = static_cast<double>(trials);
  check(successes >= 0 && successes <= n,
        "wilson_interval: successes must be in [0, {}], got {}",
        trials,
        successes);
  const double z2 = z * z;
  const double centre = (successes + z2 / 2) / (n + z2);
  const double half = z / (n + z2) * std::sqrt(successes * (n - successes) / n + z2 / 4);
  return {.estimate = successes / n,
          .low = std::max(0.0, centre - half),
          .high = std::min(1.0, centre + half)};
}

}  // namespace attune::report
