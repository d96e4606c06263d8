#include "attune/report/histogram.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "attune/report/ticks.h"

namespace attune::report {
namespace {

/// Past this size the width of a bin could overflow; such values are left out like NaN.
constexpr double kLargestBinned = 1e100;

void keep_finite(std::vector<double>& values) {
  values.erase(std::remove_if(values.begin(),
                              values.end(),
                              [](double value) { return !(std::abs(value) <= kLargestBinned); }),
               values.end());
}

}  // namespace

std::vector<int64_t> Bins::counts(const std::vector<double>& values) const {
  if (edges.size() < 2) {
    return {};
  }
  std::vector<int64_t> counts(edges.size() - 1);
  for (const double value : values) {
    if (std::isfinite(value) && value >= edges.front() && value <= edges.back()) {
      const auto above = std::upper_bound(edges.begin(), edges.end() - 1, value);
      const auto bin = static_cast<size_t>(above - edges.begin()) - 1;
      ++counts[std::min(bin, counts.size() - 1)];
    }
  }
  return counts;
}

Bins bins_for(const std::vector<const std::vector<double>*>& groups, double least_width) {
  std::vector<double> pooled;
  for (const auto* group : groups) {
    pooled.insert(pooled.end(), group->begin(), group->end());
  }
  keep_finite(pooled);
  if (pooled.empty()) {
    return {};
  }
  std::sort(pooled.begin(), pooled.end());
  const double least = pooled.front();
  const double most = pooled.back();
  // A width near the least double would round to nothing.
  constexpr double kLeastBinned = 1e-100;
  for (double& value : pooled) {
    value = std::abs(value) < kLeastBinned ? 0 : value;
  }
  const double low = pooled.front();
  const double high = pooled.back();
  const size_t n = pooled.size();
  double width = 0;
  if (high - low <= std::max(std::abs(low), std::abs(high)) * 1e-9) {
    width = std::max(least_width, round_up(low == 0 ? 0.1 : std::abs(low) / 10));
  } else {
    const double iqr = pooled[3 * (n - 1) / 4] - pooled[(n - 1) / 4];
    const double rule = 2 * iqr / std::cbrt(static_cast<double>(n));
    const double range = high - low;
    const double fine = std::clamp(rule, range / 40, range / 12);
    // Dividing by 1.6, about the root of 2.5, makes the largest step of 1, 2, 5 the nearest one.
    width = std::max(least_width, round_up(fine / 1.6));
  }
  Bins bins;
  const double first = std::floor(low / width);
  const double last = std::max(first + 1, std::ceil(high / width));
  for (double i = first; i <= last; ++i) {
    bins.edges.push_back(i == 0 ? 0 : i * width);
  }
  // Rounding must not put a value outside.
  bins.edges.front() = std::min(bins.edges.front(), least);
  bins.edges.back() = std::max(bins.edges.back(), most);
  return bins;
}

double median(std::vector<double> values) {
  keep_finite(values);
  if (values.empty()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const size_t half = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(half), values.end());
  const double upper = values[half];
  if (values.size() % 2 == 1) {
    return upper;
  }
  const double lower =
      *std::max_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(half));
  return lower + (upper - lower) / 2;
}

}  // namespace attune::report
