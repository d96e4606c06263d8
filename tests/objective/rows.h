// Three comparisons with round numbers, and what terms make of them.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>

#include "attune/objective/registry.h"

#include "tests/objective/support.h"

namespace attune::tests {

/// h = (1, -1, 2) for the winners and (-0.5, 1, -1) for the losers: margins 1.5, -2 and 3. Winners
/// have 5, 10 and 4 tokens, losers 6, 9 and 8.
inline Batch rows(const std::vector<double>& probability = {1, 1, 1}) {
  Batch batch({-10, -20, -5, -12, -18.5, -9},
              {-11, -19, -7, -11.5, -19.5, -8},
              {{0, 3, probability[0]}, {1, 4, probability[1]}, {2, 5, probability[2]}});
  batch.in.policy.count_S = f64({5, 10, 4, 6, 9, 8});
  batch.in.reference.count_S = batch.in.policy.count_S;
  return batch;
}

template <class Options>
std::vector<double> losses(const Options& options, const Batch& batch) {
  return numbers(run(options, batch.in).loss_I);
}

/// Of the sum of the losses, for each completion's log-prob.
template <class Options>
std::vector<double> slopes(const Options& options, const Batch& batch) {
  run(options, batch.in).loss_I.sum().backward();
  return batch.slope();
}

/// The message of the error that these options meet, or "no error".
template <class Options>
std::string refusal(const Options& options, const Batch& batch = rows()) {
  return error_of([&] { run(options, batch.in); });
}

inline void expect_numbers(const std::vector<double>& got,
                           const std::vector<double>& want,
                           double within = 1e-12) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], within) << "entry " << i;
  }
}

inline double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

/// -log sigmoid(z).
inline double logistic(double z) {
  return std::log1p(std::exp(-z));
}

}  // namespace attune::tests
