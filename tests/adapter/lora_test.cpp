#include "attune/adapter/lora.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "attune/adapter/dropout.h"

#include "tests/nn/compare.h"

namespace attune::adapter {
namespace {

using testing::HasSubstr;
using tests::normal;
using tests::numbers;

// 13 in, 11 out, rank 3; B filled.
Linear layer(at::ScalarType dtype, double dropout = 0, bool rslora = false) {
  Linear linear{.weight_OI = normal({11, 13}, 1, dtype), .bias_O = at::Tensor()};
  linear.lora = Lora{.a_RI = normal({3, 13}, 2, dtype),
                     .b_OR = normal({11, 3}, 3, dtype),
                     .alpha = 7,
                     .rslora = rslora,
                     .dropout = dropout,
                     .ordinal = 5};
  return linear;
}

class LoraLayer : public tests::BothPrecisions {};
INSTANTIATE_TEST_SUITE_P(Precision, LoraLayer, tests::kPrecisions, tests::precision_name);

TEST_P(LoraLayer, EqualsItsFormula) {
  for (const bool rslora : {false, true}) {
    for (const bool bias : {false, true}) {
      const double scale = rslora ? 7 / std::sqrt(3.0) : 7.0 / 3;
      const auto ours = [&](const tests::Inputs& in) {
        Linear linear = layer(dtype(), 0, rslora);
        linear.lora->a_RI = in[1];
        linear.lora->b_OR = in[2];
        linear.bias_O = bias ? normal({11}, 4, dtype()) : at::Tensor();
        return linear.forward(in[0], {});
      };
      const auto plain = [&](const tests::Inputs& in) {
        const at::Tensor w = layer(dtype()).weight_OI;
        const at::Tensor y =
            in[0].matmul(w.t()) + scale * in[0].matmul(in[1].t()).matmul(in[2].t());
        return bias ? y + normal({11}, 4, dtype()) : y;
      };
      const at::Tensor a = normal({3, 13}, 5);
      const at::Tensor b = normal({11, 3}, 6);
      expect_same(ours, plain, {normal({17, 13}, 7), a, b});
      expect_same(ours, plain, {normal({13, 17}, 8).t(), a, b});
      expect_same(ours, plain, {normal({17, 13}, 7), a, b}, {false, true, true});
    }
  }
}

TEST_P(LoraLayer, ADropoutsGradientIsThatOfItsMask) {
  // The mask is what keyed_dropout makes of ones, so the plain form multiplies by it.
  const at::Tensor row_keys_N = tests::whole_numbers({1, 2, 3, 4, 5, 6, 7});
  const Pass pass{.dropout = true, .dropout_key = 9, .row_keys_N = row_keys_N};
  const auto ours = [&](const tests::Inputs& in) {
    Linear linear = layer(dtype(), 0.4);
    linear.lora->a_RI = in[1];
    linear.lora->b_OR = in[2];
    return linear.forward(in[0], pass);
  };
  const at::Tensor mask = keyed_dropout(
      normal({7, 13}, 1, dtype()).fill_(1), row_keys_N, random_word(9, /*ordinal=*/5), 0.4);
  const auto plain = [&](const tests::Inputs& in) {
    const at::Tensor w = layer(dtype()).weight_OI;
    return in[0].matmul(w.t()) + 7.0 / 3 * (in[0] * mask).matmul(in[1].t()).matmul(in[2].t());
  };
  expect_same(ours, plain, {normal({7, 13}, 10), normal({3, 13}, 5), normal({11, 3}, 6)});
}

TEST_P(LoraLayer, MergedEqualsUnmerged) {
  for (const bool rslora : {false, true}) {
    const Linear linear = layer(dtype(), 0, rslora);
    const Linear merged{.weight_OI = linear.merged_weight().to(dtype()), .bias_O = at::Tensor()};
    const at::Tensor x = normal({17, 13}, 7, dtype());
    const at::Tensor y = linear.forward(x, {});
    EXPECT_LE(tests::difference(merged.forward(x, {}), y), 1e-5 * tests::magnitude(y));
    EXPECT_GT(tests::difference(linear.forward(x, {.adapters = false}), y), 1);
  }
}

TEST_P(LoraLayer, ANewAdapterChangesNoBit) {
  Linear linear{.weight_OI = normal({11, 13}, 1, dtype()), .bias_O = normal({11}, 2, dtype())};
  const at::Tensor x = normal({17, 13}, 7, dtype());
  const at::Tensor before = linear.forward(x, {});
  linear.lora = new_lora(linear.weight_OI, {.rank = 5, .path = {}}, 3);
  EXPECT_TRUE(tests::same_bits(linear.forward(x, {}).detach(), before));
  EXPECT_TRUE(tests::same_bits(linear.forward(x, {.adapters = false}), before));
}

TEST(NewLora, DrawsAUniformlyAndLeavesBZero) {
  const at::Tensor weight = normal({192, 576}, 1, at::kFloat);
  const Lora lora = new_lora(weight, {.rank = 64, .alpha = 16, .dropout = 0.25, .path = {}}, 3);
  EXPECT_EQ(lora.a_RI.sizes(), at::IntArrayRef({64, 576}));
  EXPECT_EQ(lora.b_OR.sizes(), at::IntArrayRef({192, 64}));
  EXPECT_EQ(tests::magnitude(lora.b_OR), 0);
  EXPECT_TRUE(lora.a_RI.requires_grad() && lora.b_OR.requires_grad());
  EXPECT_EQ(lora.scale(), 0.25);
  EXPECT_EQ(lora.dropout, 0.25);
  // Uniform in +-1/sqrt(576) = +-1/24: mean 0, variance (1/24)^2 / 3; 36,864 numbers.
  double sum = 0;
  double squares = 0;
  for (const double a : numbers(lora.a_RI)) {
    sum += a;
    squares += a * a;
  }
  EXPECT_LE(tests::magnitude(lora.a_RI), 1.0 / 24);
  EXPECT_GT(tests::magnitude(lora.a_RI), 0.999 / 24);
  EXPECT_NEAR(sum / 36864, 0, 5 * (1.0 / 24) / std::sqrt(3.0 * 36864));
  EXPECT_NEAR(squares / 36864, 1.0 / (576 * 3), 0.03 / (576 * 3));
  EXPECT_TRUE(tests::same_bits(new_lora(weight, {.rank = 64, .path = {}}, 3).a_RI, lora.a_RI));
  EXPECT_GT(tests::difference(new_lora(weight, {.rank = 64, .path = {}}, 4).a_RI, lora.a_RI), 1e-3);
}

TEST(NewLora, RefusesARankThatDoesNotFit) {
  const at::Tensor weight = normal({11, 13}, 1, at::kFloat);
  EXPECT_THAT(tests::error_of([&] { new_lora(weight, {.rank = 12, .path = {}}, 3); }),
              HasSubstr("adapter.rank must be 1 to 11 for a [11, 13] weight, got 12"));
}

}  // namespace
}  // namespace attune::adapter
