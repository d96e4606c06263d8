#pragma once

#include <cstdint>
#include <vector>

namespace attune::report {

/// Bins of equal width at round numbers: bin i is [edges[i], edges[i + 1]); the last one has its
/// right edge too.
struct Bins {
  std::vector<double> edges;  ///< one more than bins; empty if there was no value.

  /// How many of the values lie in each bin; values that are not finite are not counted.
  std::vector<int64_t> counts(const std::vector<double>& values) const;
};

/// Bins that hold all finite values of all groups, with a width that suits the pooled values
/// (Freedman and Diaconis' rule within 12 to 40 bins, then the nearest of 1, 2, 5 times a power of
/// ten).
/// Identical values get one bin around them.
/// @param least_width  bins are not narrower; 1 for counts.
Bins bins_for(const std::vector<const std::vector<double>*>& groups, double least_width = 0);

/// The middle of the finite values; NaN if there is none.
double median(std::vector<double> values);

}  // namespace attune::report
