#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attune::report {

/// The marks of an axis: round numbers at an even step, from at or below the data's least value to
/// at or above its largest.
struct Ticks {
  double step = 1;         ///< 1, 2 or 5 times a power of ten.
  std::vector<double> at;  ///< at least 2, rising.

  /// Ends of the axis.
  double low() const {
    return at.front();
  }
  double high() const {
    return at.back();
  }
  /// A mark's text with just the decimals that the step needs: "0.25", "1,200", "5e-6".
  std::string label(double value) const;
};

/// Marks for values from `low` to `high`, about `wanted` of them (between half and twice as many).
/// A range of one value gets room on both sides; values that are not finite count as 0.
Ticks ticks_for(double low, double high, int wanted);

/// The smallest of 1, 2, 5 times a power of ten that is not below `value`. @param value  above 0.
double round_up(double value);

}  // namespace attune::report
