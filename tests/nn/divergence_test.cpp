#include "attune/nn/divergence.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/softmax.h>

#include "tests/nn/compare.h"

namespace attune::nn {
namespace {

using tests::normal;

class Divergence : public tests::BothPrecisions {};
INSTANTIATE_TEST_SUITE_P(Precision, Divergence, tests::kPrecisions, tests::precision_name);

// 1 row, fewer than a tile of 64, exactly one, and four tiles and a rest. The reference is of
// another width.
TEST_P(Divergence, EqualsThePlainSumOverTheVocabulary) {
  for (const int64_t C : {1, 41, 64, 307}) {
    SCOPED_TRACE(C);
    const at::Tensor q_CD = normal({C, 19}, 3, dtype());
    const at::Tensor q_VD = normal({53, 19}, 4, dtype());
    const auto ours = [&](const tests::Inputs& in) { return divergence(in[0], in[1], q_CD, q_VD); };
    const auto plain = [&](const tests::Inputs& in) {
      const at::Tensor p_CV = at::softmax(in[0].matmul(in[1].t()), -1);
      const at::Tensor q_CV = at::softmax(q_CD.matmul(q_VD.t()), -1);
      return (q_CV * (q_CV / p_CV).log()).sum(-1).to(at::kDouble);
    };
    const at::Tensor h_CD = 0.3 * normal({C, 31}, 1);
    const at::Tensor w_VD = normal({53, 31}, 2);
    expect_same(ours, plain, {h_CD, w_VD}, {true, false});
    expect_same(ours, plain, {h_CD, w_VD}, {true, true});
    expect_same(ours, plain, {0.3 * normal({31, C}, 5).t(), w_VD}, {true, true});
  }
}

// Two tokens, p = (1/2, 1/2) and q = (3/4, 1/4):
//   KL = 3/4 log(3/2) + 1/4 log(1/2) = 0.3040988 - 0.1732868 = 0.1308120
//   slope of the logits p - q = (-1/4, 1/4)
TEST_P(Divergence, IsAsWorkedByHand) {
  at::Tensor h_CD = normal({1, 2}, 1, dtype()).fill_(0).set_requires_grad(true);
  at::Tensor identity_VD = normal({2, 2}, 1, dtype()).fill_(0).fill_diagonal_(1);
  at::Tensor q_CD = normal({1, 2}, 1, dtype()).fill_(0);
  q_CD.select(1, 0).fill_(std::log(3.0));
  const at::Tensor kl = divergence(h_CD, identity_VD, q_CD, identity_VD);
  EXPECT_NEAR(kl.item<double>(), 0.75 * std::log(1.5) + 0.25 * std::log(0.5), 1e-7);
  kl.sum().backward();
  const auto slope = tests::numbers(h_CD.grad());
  EXPECT_NEAR(slope[0], -0.25, 1e-7);
  EXPECT_NEAR(slope[1], 0.25, 1e-7);
}

TEST_P(Divergence, OfAModelFromItselfIsNothing) {
  const at::Tensor h_CD = normal({71, 31}, 1, dtype()).set_requires_grad(true);
  const at::Tensor w_VD = normal({53, 31}, 2, dtype());
  const at::Tensor kl_C = divergence(h_CD, w_VD, h_CD, w_VD);
  EXPECT_EQ(tests::magnitude(kl_C), 0);
  kl_C.sum().backward();
  EXPECT_EQ(tests::magnitude(h_CD.grad()), 0);
}

TEST_P(Divergence, WidensFrozenBf16Weights) {
  const at::Tensor w_VD = normal({53, 31}, 4).to(at::kBFloat16);
  const at::Tensor q_VD = normal({53, 31}, 6).to(at::kBFloat16);
  const at::Tensor q_CD = normal({71, 31}, 7, dtype());
  const auto ours = [&](const tests::Inputs& in) { return divergence(in[0], w_VD, q_CD, q_VD); };
  const auto plain = [&](const tests::Inputs& in) {
    return divergence(in[0], w_VD.to(dtype()), q_CD, q_VD.to(dtype()));
  };
  expect_same(ours, plain, {normal({71, 31}, 5)});
}

TEST_P(Divergence, GivesTheSameValueWithAndWithoutGradients) {
  at::Tensor h_CD = normal({71, 31}, 6, dtype());
  at::Tensor w_VD = normal({53, 31}, 7, dtype());
  const at::Tensor q_CD = normal({71, 31}, 8, dtype());
  const at::Tensor bare_C = divergence(h_CD, w_VD, q_CD, w_VD);
  EXPECT_FALSE(bare_C.requires_grad());
  h_CD.set_requires_grad(true);
  EXPECT_TRUE(tests::same_bits(bare_C, divergence(h_CD, w_VD, q_CD, w_VD).detach()));
  w_VD.set_requires_grad(true);
  EXPECT_TRUE(tests::same_bits(bare_C, divergence(h_CD, w_VD, q_CD, w_VD).detach()));
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(divergence(h_CD, w_VD, q_CD, w_VD).requires_grad());
}

// Logits 1e4 apart: the policy is sure of token 1, the reference of token 0.
TEST_P(Divergence, HugeLogitsStayFinite) {
  at::Tensor h_CD = normal({1, 1}, 8, dtype()).fill_(1e4);
  at::Tensor w_VD = normal({2, 1}, 9, dtype()).fill_(0);
  w_VD.select(0, 1).fill_(1);
  EXPECT_EQ(divergence(h_CD, w_VD, -h_CD, w_VD).item<double>(), 1e4);
}

}  // namespace
}  // namespace attune::nn
