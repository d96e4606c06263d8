#pragma once

namespace attune::train {

/// Measured rates of matrix products, GFLOP/s.
struct Rates {
  double forward = 0;
  double backward = 0;
};

}  // namespace attune::train
