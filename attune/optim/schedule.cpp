#include "attune/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "attune/core/error.h"

namespace attune::optim {

double learning_rate(const OptimOptions& options, int64_t step, int64_t total) {
  // As transformers, whose first rate is 0; but a run of one step would then learn nothing.
  const int64_t warmup =
      total == 1
          ? 0
          : static_cast<int64_t>(std::ceil(static_cast<double>(total) * options.warmup_ratio));
  if (step < warmup) {
    return options.lr * static_cast<double>(step) /
           static_cast<double>(std::max<int64_t>(1, warmup));
  }
  const auto rest = static_cast<double>(std::max<int64_t>(1, total - warmup));
  if (options.schedule == "linear") {
    return options.lr * std::max(0.0, static_cast<double>(total - step) / rest);
  }
  if (options.schedule == "cosine") {
    const double done = static_cast<double>(step - warmup) / rest;
    return options.lr * std::max(0.0, 0.5 * (1 + std::cos(std::numbers::pi * done)));
  }
  ensure(options.schedule == "constant", "no schedule {}", options.schedule);
  return options.lr;
}

}  // namespace attune::optim
