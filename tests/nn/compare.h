// Compares an autograd function with a plain composition of ATen's operators: value and every
// gradient.
#pragma once

#include <functional>
#include <vector>

#include <ATen/TensorOperators.h>

#include "tests/tensor/golden.h"

namespace attune::tests {

using Inputs = std::vector<at::Tensor>;
using Function = std::function<at::Tensor(const Inputs&)>;

/// f64 to 1e-12, f32 to 1e-5 of the largest number.
class BothPrecisions : public testing::TestWithParam<at::ScalarType> {
 protected:
  static at::ScalarType dtype() {
    return GetParam();
  }

  /// The inputs are converted to the test's precision, keeping their strides; `trained` says which
  /// carry gradients (all, if empty).
  static void expect_same(const Function& ours,
                          const Function& plain,
                          const Inputs& inputs,
                          std::vector<bool> trained = {},
                          bool exactly = false) {
    trained.resize(inputs.size(), trained.empty());
    const Results a = run(ours, inputs, trained);
    const Results b = run(plain, inputs, trained);
    const double tolerance = exactly ? 0 : dtype() == at::kDouble ? 1e-12 : 1e-5;
    EXPECT_EQ(a.value.scalar_type(), b.value.scalar_type());
    EXPECT_LE(difference(a.value, b.value), tolerance * std::max(1.0, magnitude(b.value)));
    for (size_t i = 0; i < inputs.size(); ++i) {
      ASSERT_EQ(a.grads[i].defined(), static_cast<bool>(trained[i])) << "input " << i;
      if (trained[i]) {
        ASSERT_GT(magnitude(b.grads[i]), 0) << "the test's own gradient is zero";
        EXPECT_LE(difference(a.grads[i], b.grads[i]),
                  tolerance * std::max(1.0, magnitude(b.grads[i])))
            << "gradient of input " << i;
      }
    }
  }

 private:
  struct Results {
    at::Tensor value;
    Inputs grads;
  };

  static Results run(const Function& function,
                     const Inputs& inputs,
                     const std::vector<bool>& trained) {
    Inputs leaves;
    for (size_t i = 0; i < inputs.size(); ++i) {
      leaves.push_back(inputs[i].to(dtype(), /*non_blocking=*/false, /*copy=*/true));
      leaves.back().set_requires_grad(trained[i]);
    }
    const at::Tensor y = function(leaves);
    // A slope of its own for every number of the result.
    (y * normal(y.sizes().vec(), 97, y.scalar_type())).sum().backward();
    Results results{y.detach(), {}};
    for (const at::Tensor& leaf : leaves) {
      results.grads.push_back(leaf.grad());
    }
    return results;
  }
};

inline const auto kPrecisions = testing::Values(at::kFloat, at::kDouble);
inline std::string precision_name(const testing::TestParamInfo<at::ScalarType>& test) {
  return test.param == at::kFloat ? "f32" : "f64";
}

/// int64 numbers.
inline at::Tensor whole_numbers(const std::vector<int64_t>& values) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.data_ptr<int64_t>());
  return tensor;
}

}  // namespace attune::tests
