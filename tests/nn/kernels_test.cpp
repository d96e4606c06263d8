#include "attune/nn/kernels.h"

#include <cmath>
#include <vector>

#include "tests/tensor/golden.h"

namespace attune::nn {
namespace {

// e^(x - shift) of one number by the kernel, in a row long enough for the vector loop.
float exp_by_kernel(float x) {
  std::vector<float> row(67, x);
  exp_shifted(row.data(), 0.0F, static_cast<int64_t>(row.size()));
  return row[13];
}

TEST(Kernels, ExpIsRightToThreeTimesTenToTheMinusSeven) {
  // The spacing of floats is at most 2^-23 = 1.2e-7 of the number: two and a half of them.
  std::vector<float> inputs;
  for (float x = -87.29F; x < 88.0F; x += 1e-4F + std::abs(x) * 1e-6F) {
    inputs.push_back(x);
  }
  std::vector<float> row = inputs;
  exp_shifted(row.data(), 0.0F, static_cast<int64_t>(row.size()));
  double worst = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    const double exact = std::exp(static_cast<double>(inputs[i]));
    worst = std::max(worst, std::abs(static_cast<double>(row[i]) / exact - 1));
  }
  EXPECT_LT(worst, 3e-7) << inputs.size() << " numbers";
}

TEST(Kernels, ExpOfZeroIsOneAndOfTheFarNegativeIsZero) {
  EXPECT_EQ(exp_by_kernel(0.0F), 1.0F);
  EXPECT_EQ(exp_by_kernel(-0.0F), 1.0F);
  EXPECT_EQ(exp_by_kernel(-100.0F), 0.0F);
  EXPECT_EQ(exp_by_kernel(-INFINITY), 0.0F);
  EXPECT_TRUE(std::isnan(exp_by_kernel(NAN)));
}

TEST(Kernels, SumsAndMaximaCoverEveryLength) {
  for (const int64_t count : {1, 2, 15, 16, 17, 67, 1009}) {
    SCOPED_TRACE(count);
    std::vector<float> x(static_cast<size_t>(count));
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      x[static_cast<size_t>(i)] = static_cast<float>((i * 7919) % 101) / 101 - 1;
      sum += std::exp(static_cast<double>(x[static_cast<size_t>(i)]) + 0.5);
    }
    x.back() = 3;
    sum += std::exp(3.5) - std::exp(static_cast<double>(((count - 1) * 7919) % 101) / 101 - 0.5);
    EXPECT_EQ(largest(x.data(), count), 3.0F);
    EXPECT_NEAR(exp_shifted(x.data(), -0.5F, count) / sum, 1, 1e-6);
  }
}

TEST(Kernels, TheGateOfAFarNegativeIsZero) {
  const std::vector<float> gate{-1000.0F, -90.0F, 0.0F, 1000.0F};
  const std::vector<float> up{2.0F, 2.0F, 2.0F, 2.0F};
  std::vector<float> y(4);
  swiglu(gate.data(), up.data(), 4, y.data());
  EXPECT_NEAR(y[0], 0, 1e-30);
  EXPECT_NEAR(y[1], 0, 1e-30);
  EXPECT_EQ(y[2], 0);
  EXPECT_EQ(y[3], 2000);
}

}  // namespace
}  // namespace attune::nn
