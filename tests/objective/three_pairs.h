// Numbers that other programs were asked about, and labels in place of comparisons.
#pragma once

#include <vector>

#include "tests/objective/support.h"

namespace attune::tests {

/// Three pairs: sequences 0 to 2 won over 3 to 5. h is (1, -1, 2) and (-0.5, 1, -1).
inline Batch three_pairs() {
  Batch batch(
      {-10, -20, -5, -12, -18.5, -9}, {-11, -19, -7, -11.5, -19.5, -8}, {{0, 3}, {1, 4}, {2, 5}});
  batch.in.policy.count_S = f64({5, 10, 4, 6, 9, 8});
  return batch;
}

/// Gives every completion a label, 1, -1 or 0, and a weight, by default 1.
inline void set_labels(Batch& batch,
                       const std::vector<double>& label_S,
                       std::vector<double> weight_S = {}) {
  weight_S.resize(label_S.size(), 1);
  batch.in.feedback.label_S = f64(label_S);
  batch.in.feedback.label_weight_S = f64(weight_S);
}

/// The three pairs as six labels.
inline Batch six_labels() {
  Batch batch = three_pairs();
  set_labels(batch, {1, 1, 1, -1, -1, -1});
  return batch;
}

inline void expect_each(const at::Tensor& got, const std::vector<double>& want, double off) {
  const std::vector<double> each = numbers(got);
  ASSERT_EQ(each.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(each[i], want[i], off) << "entry " << i;
  }
}

/// softplus(x) = log(1 + e^x), as -log sigmoid(-x).
inline double softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

inline double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

/// What a kind says of these options; "no error" if it takes them.
template <class Options>
std::string refusal(const Options& options) {
  return error_of([&] {
    (void)objective::make_term({.kind = std::string(options.kKind), .options = options});
  });
}

}  // namespace attune::tests
