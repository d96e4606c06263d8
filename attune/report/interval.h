#pragma once

#include <cstdint>

namespace attune::report {

/// An estimate with the bounds of its confidence interval.
struct Interval {
  double estimate = 0;  ///< the share itself.
  double low = 0;       ///< lower bound.
  double high = 0;      ///< upper bound.
};

/// Wilson's score interval for a share.
///
///   centre = (k + z^2/2) / (n + z^2)
///   half   = z / (n + z^2) * sqrt(k (n - k) / n + z^2/4)
///
/// Paper: Wilson 1927, "Probable inference, the law of succession, and statistical inference",
/// JASA 22. Unlike the normal interval it stays in [0, 1] and has a width at 0 and 100 %.
///
/// @param successes  k; a tie may count one half.
/// @param trials     n, at least 1.
/// @param z          quantile of the normal distribution; the default gives 95 %.
/// @throws Error     If trials < 1, or successes is not in [0, trials].
Interval wilson_interval(double successes, int64_t trials, double z = 1.959963984540054);

}  // namespace attune::report
