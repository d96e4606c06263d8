#include "attune/report/ticks.h"

#include <algorithm>
#include <cmath>

#include "attune/report/html.h"

namespace attune::report {

double round_up(double value) {
  const double power = std::pow(10, std::floor(std::log10(value)));
  // The slack absorbs rounding, as in 0.3 / 0.1 = 2.9999999999999996.
  constexpr double kSlack = 1 + 1e-9;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (value <= factor * power * kSlack) {
      return factor * power;
    }
  }
  return 10 * power;
}

Ticks ticks_for(double low, double high, int wanted) {
  // Beyond these sizes a range or its step would overflow or round to nothing.
  constexpr double kLargest = 1e300, kLeast = 1e-300;
  for (double* end : {&low, &high}) {
    const bool usable = std::isfinite(*end) && std::abs(*end) >= kLeast;
    *end = usable ? std::clamp(*end, -kLargest, kLargest) : 0;
  }
  if (low > high) {
    std::swap(low, high);
  }
  const double least = std::max(std::abs(low), std::abs(high)) * 1e-9;
  if (high - low <= least) {
    const double room = low == 0 ? 1 : std::abs(low) / 2;
    low -= room;
    high += room;
  }
  Ticks ticks;
  ticks.step = round_up((high - low) / std::max(wanted, 1));
  const double first = std::floor(low / ticks.step + 1e-9);
  const double last = std::ceil(high / ticks.step - 1e-9);
  for (double i = first; i <= last; ++i) {
    ticks.at.push_back(i == 0 ? 0 : i * ticks.step);
  }
  return ticks;
}

std::string Ticks::label(double value) const {
  const double largest = std::max(std::abs(low()), std::abs(high()));
  if (value != 0 && (largest < 1e-3 || largest >= 1e7)) {
    return number_text(value);
  }
  const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  if (decimals == 0) {
    return count_text(std::llround(value));
  }
  const std::string digits = short_number(std::abs(value), decimals);
  return (value < 0 ? "−" : "") + digits;
}

}  // namespace attune::report
