// Norm, rotation, gate, linear layers and recomputation against plain compositions of ATen's
// operators and ATen's own derivatives.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tanh.h>

#include "attune/nn/linear.h"
#include "attune/nn/recompute.h"
#include "attune/nn/rms_norm.h"
#include "attune/nn/rotary.h"
#include "attune/nn/swiglu.h"

#include "tests/nn/compare.h"

namespace attune::nn {
namespace {

using tests::normal;

class Functions : public tests::BothPrecisions {};
INSTANTIATE_TEST_SUITE_P(Precision, Functions, tests::kPrecisions, tests::precision_name);

TEST_P(Functions, RmsNormEqualsItsFormula) {
  const auto plain = [](const tests::Inputs& in) {
    return in[0] * at::rsqrt((in[0] * in[0]).mean(-1, /*keepdim=*/true) + 1e-3) * in[1];
  };
  const auto ours = [](const tests::Inputs& in) { return rms_norm(in[0], in[1], 1e-3); };
  expect_same(ours, plain, {normal({37, 29}, 1), normal({29}, 2)});
  expect_same(ours, plain, {normal({5, 7, 11}, 3), normal({11}, 4)});
  expect_same(ours, plain, {normal({29, 37}, 5).t(), normal({29}, 6)});
  // A frozen weight gets no gradient, and the input gets the same one.
  expect_same(ours, plain, {normal({37, 29}, 1), normal({29}, 2)}, {true, false});
  expect_same(ours, plain, {normal({37, 29}, 1), normal({29}, 2)}, {false, true});
}

TEST_P(Functions, RotateEqualsItsFormula) {
  const RotaryShape shape{.head_dim = 14, .theta = 100.0};
  const at::Tensor positions_N = tests::whole_numbers({0, 1, 2, 3, 1000, 7, 7, 0, 31, 5, 6});
  const RotaryAngles angles = rotary_angles(shape, positions_N, dtype());
  const auto ours = [&](const tests::Inputs& in) { return rotate(in[0], angles); };
  const auto plain = [&](const tests::Inputs& in) {
    const at::Tensor cos = at::cat({angles.cos_NE, angles.cos_NE}, 1).unsqueeze(1);
    const at::Tensor sin = at::cat({angles.sin_NE, angles.sin_NE}, 1).unsqueeze(1);
    const at::Tensor low = in[0].narrow(2, 0, 7);
    const at::Tensor high = in[0].narrow(2, 7, 7);
    return in[0] * cos + at::cat({-high, low}, 2) * sin;
  };
  expect_same(ours, plain, {normal({11, 3, 14}, 7)});
  expect_same(ours, plain, {normal({3, 11, 14}, 8).transpose(0, 1)});
}

TEST_P(Functions, GatedSiluEqualsItsFormula) {
  const auto ours = [](const tests::Inputs& in) { return gated_silu(in[0], in[1]); };
  const auto plain = [](const tests::Inputs& in) { return at::silu(in[0]) * in[1]; };
  expect_same(ours, plain, {7 * normal({31, 43}, 9), normal({31, 43}, 10)});
  expect_same(ours, plain, {normal({43, 31}, 11).t(), normal({31, 43}, 12)});
  // More than one task of 16384 numbers.
  expect_same(ours, plain, {normal({131, 257}, 13), normal({131, 257}, 14)});
}

TEST_P(Functions, LinearEqualsItsFormula) {
  const auto ours = [](const tests::Inputs& in) {
    return nn::linear(in[0], in[1], in.size() > 2 ? in[2] : at::Tensor());
  };
  const auto plain = [](const tests::Inputs& in) {
    const at::Tensor y = in[0].matmul(in[1].t());
    return in.size() > 2 ? y + in[2] : y;
  };
  const at::Tensor x = normal({17, 13}, 15);
  const at::Tensor w = normal({19, 13}, 16);
  expect_same(ours, plain, {x, w, normal({19}, 17)});
  expect_same(ours, plain, {x, w}, {true, false});
  expect_same(ours, plain, {x, w}, {false, true});
  expect_same(ours, plain, {normal({13, 17}, 18).t(), w});
  expect_same(ours, plain, {normal({1, 13}, 19), w});
}

TEST_P(Functions, LinearWidensAFrozenBf16Weight) {
  const at::Tensor w = normal({19, 13}, 20).to(at::kBFloat16);
  const auto ours = [&](const tests::Inputs& in) { return nn::linear(in[0], w, {}); };
  const auto plain = [&](const tests::Inputs& in) { return in[0].matmul(w.to(dtype()).t()); };
  expect_same(ours, plain, {normal({17, 13}, 21)});
}

TEST_P(Functions, RecomputeGivesTheSameValueAndGradients) {
  // Two recomputed layers that share a weight, so that gradients add up.
  const auto layer = [](const at::Tensor& w) {
    return [w](const at::Tensor& x) { return at::tanh(x.matmul(w)) + x; };
  };
  const auto ours = [&](const tests::Inputs& in) {
    return recompute(layer(in[1]), recompute(layer(in[1]), in[0]));
  };
  const auto plain = [&](const tests::Inputs& in) { return layer(in[1])(layer(in[1])(in[0])); };
  expect_same(
      ours, plain, {normal({5, 7}, 22), normal({7, 7}, 23)}, {true, true}, /*exactly=*/true);
}

TEST(Recompute, RefusesAnInputThatNoGradientCanReach) {
  const at::Tensor x = normal({2, 3}, 24);
  EXPECT_THROW(recompute([](const at::Tensor& y) { return y + 1; }, x), InternalError);
  const at::NoGradGuard no_grad;
  EXPECT_EQ(tests::difference(recompute([](const at::Tensor& y) { return y + 1; }, x), x + 1), 0);
}

TEST(Functions, ANanComesOutAsANan) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    at::Tensor x = normal({3, 64}, 25, dtype);
    x.select(0, 1).select(0, 5).fill_(NAN);
    const at::Tensor ones = normal({64}, 26, dtype);
    const auto rows_with_nan = [](const at::Tensor& y) {
      std::vector<bool> rows;
      for (int64_t i = 0; i < y.size(0); ++i) {
        rows.push_back(std::isnan(y.select(0, i).sum().item<double>()));
      }
      return rows;
    };
    const std::vector<bool> only_the_second{false, true, false};
    EXPECT_EQ(rows_with_nan(rms_norm(x, ones, 1e-5)), only_the_second);
    EXPECT_EQ(rows_with_nan(gated_silu(x, normal({3, 64}, 27, dtype))), only_the_second);
    EXPECT_EQ(rows_with_nan(gated_silu(normal({3, 64}, 27, dtype), x)), only_the_second);
  }
}

TEST(RotaryAngles, FrequenciesFallFromOneByTheta) {
  // theta^(-2i/E) at theta 10000, E 8: 1, 10^-1, 10^-2, 10^-3.
  const auto f = inverse_frequencies<double>({.head_dim = 8, .theta = 10000.0});
  ASSERT_EQ(f.size(), 4U);
  EXPECT_NEAR(f[0], 1, 1e-15);
  EXPECT_NEAR(f[1], 0.1, 1e-15);
  EXPECT_NEAR(f[2], 0.01, 1e-16);
  EXPECT_NEAR(f[3], 0.001, 1e-17);
  const auto linear =
      inverse_frequencies<double>({.head_dim = 8, .theta = 10000.0, .linear_factor = 4.0});
  EXPECT_NEAR(linear[1], 0.025, 1e-16);
}

TEST(RotaryAngles, Llama3StretchesOnlyTheSlowFrequencies) {
  // Wavelengths 2 pi / f of f = 1, 0.1, 0.01, 0.001 are 6.3, 62.8, 628, 6283. With 1000 original
  // positions, low 1 and high 4 the borders are 1000 and 250: the first two stay, the last is
  // divided by 8, and the third is between them: smooth = (1000 / 628.3 - 1) / 3 = 0.19718,
  // f = (1 - 0.19718) 0.01 / 8 + 0.19718 * 0.01 = 0.00297535.
  const RotaryShape shape{.head_dim = 8,
                          .theta = 10000.0,
                          .llama3 = Llama3Scaling{.factor = 8,
                                                  .low_freq_factor = 1,
                                                  .high_freq_factor = 4,
                                                  .original_max_positions = 1000}};
  const auto f = inverse_frequencies<double>(shape);
  EXPECT_NEAR(f[0], 1, 1e-15);
  EXPECT_NEAR(f[1], 0.1, 1e-15);
  EXPECT_NEAR(f[2], 0.00297535, 5e-9);
  EXPECT_NEAR(f[3], 0.001 / 8, 1e-17);
  const auto f32 = inverse_frequencies<float>(shape);
  for (size_t i = 0; i < f.size(); ++i) {
    EXPECT_NEAR(f32[i] / f[i], 1, 1e-6);
  }
}

}  // namespace
}  // namespace attune::nn
