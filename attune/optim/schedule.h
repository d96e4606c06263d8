#pragma once

#include <cstdint>

#include "attune/optim/options.h"

namespace attune::optim {

/// The learning rate of `step` (0 is the first) of `total` steps, as transformers' get_scheduler
/// gives it: `warmup` = ceil(total * warmup_ratio) steps rise from 0, then
///
///   linear    lr (total - step) / (total - warmup)
///   cosine    lr (1 + cos(pi (step - warmup) / (total - warmup))) / 2
///   constant  lr
double learning_rate(const OptimOptions& options, int64_t step, int64_t total);

}  // namespace attune::optim
