#include "attune/nn/logp_head.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>

#include "attune/tensor/gemm.h"

#include "tests/nn/compare.h"

namespace attune::nn {
namespace {

using tests::normal;

class LogpHead : public tests::BothPrecisions {
 protected:
  static at::Tensor labels(int64_t C, int64_t V) {
    std::vector<int64_t> ids;
    RandomStream random(C);
    for (int64_t i = 0; i < C; ++i) {
      ids.push_back(static_cast<int64_t>(random.below(static_cast<uint64_t>(V))));
    }
    ids[0] = V - 1;
    ids[static_cast<size_t>(C) - 1] = 0;
    return tests::whole_numbers(ids);
  }
};
INSTANTIATE_TEST_SUITE_P(Precision, LogpHead, tests::kPrecisions, tests::precision_name);

// 1 row, fewer than a tile of 128, exactly one, and two tiles and a rest.
TEST_P(LogpHead, EqualsLogSoftmaxOfTheWholeLogits) {
  for (const int64_t C : {1, 41, 128, 307}) {
    SCOPED_TRACE(C);
    const at::Tensor label_C = labels(C, 53);
    const auto ours = [&](const tests::Inputs& in) { return label_logps(in[0], in[1], label_C); };
    const auto plain = [&](const tests::Inputs& in) {
      return at::log_softmax(in[0].matmul(in[1].t()), -1)
          .gather(1, label_C.unsqueeze(1))
          .squeeze(1)
          .to(at::kDouble);
    };
    const at::Tensor h_CD = normal({C, 31}, 1);
    const at::Tensor w_VD = normal({53, 31}, 2);
    expect_same(ours, plain, {h_CD, w_VD}, {true, false});
    expect_same(ours, plain, {h_CD, w_VD}, {true, true});
    expect_same(ours, plain, {normal({31, C}, 3).t(), w_VD}, {true, false});
    expect_same(ours, plain, {normal({31, C}, 3).t(), w_VD}, {true, true});
  }
}

// One chunk of 2016 words, and two and a rest, with an odd number of words in it.
TEST_P(LogpHead, PassesOverTheVocabularyInChunks) {
  for (const int64_t V : {2016, 4099}) {
    SCOPED_TRACE(V);
    const at::Tensor label_C = labels(41, V);
    const auto ours = [&](const tests::Inputs& in) { return label_logps(in[0], in[1], label_C); };
    const auto plain = [&](const tests::Inputs& in) {
      return at::log_softmax(in[0].matmul(in[1].t()), -1)
          .gather(1, label_C.unsqueeze(1))
          .squeeze(1)
          .to(at::kDouble);
    };
    const at::Tensor w_VD = normal({V, 31}, 2);
    expect_same(ours, plain, {normal({41, 31}, 1), w_VD}, {true, false});
    expect_same(ours, plain, {normal({41, 31}, 1), w_VD}, {true, true});
    // Logits that grow from chunk to chunk scale everything before down to nothing.
    at::Tensor steep_VD = w_VD.clone();
    steep_VD.narrow(0, V - 5, 5).mul_(60);
    expect_same(ours, plain, {normal({41, 31}, 1), steep_VD}, {true, false});
  }
}

TEST_P(LogpHead, TheTapesProductsGiveTheSame) {
  const at::Tensor label_C = labels(41, 4099);
  const at::Tensor w_VD = normal({4099, 31}, 2);
  const auto ours = [&](const tests::Inputs& in) { return label_logps(in[0], in[1], label_C); };
  const auto tape = [&](const tests::Inputs& in) {
    tensor::set_hand_written_trunk(false);
    const at::Tensor logp_C = label_logps(in[0], in[1], label_C);
    tensor::set_hand_written_trunk(true);
    return logp_C;
  };
  expect_same(ours, tape, {normal({41, 31}, 1), w_VD}, {true, false});
  expect_same(ours, tape, {normal({41, 31}, 1), w_VD}, {true, true});
}

TEST_P(LogpHead, ATrainedWeightsGradientIsAddedWhereItStands) {
  const at::Tensor label_C = labels(41, 4099);
  const at::Tensor h_CD = normal({41, 31}, 1, dtype());
  const at::Tensor w_VD = normal({4099, 31}, 2, dtype()).set_requires_grad(true);
  label_logps(h_CD, w_VD, label_C).sum().backward();
  const at::Tensor once_VD = w_VD.grad().clone();
  const void* const place = w_VD.grad().const_data_ptr();
  label_logps(h_CD, w_VD, label_C).sum().backward();
  EXPECT_EQ(w_VD.grad().const_data_ptr(), place);
  EXPECT_LE(tests::difference(w_VD.grad(), 2 * once_VD), 1e-6 * tests::magnitude(once_VD));
  label_logps(h_CD.narrow(0, 0, 0), w_VD, label_C.narrow(0, 0, 0)).sum().backward();
  EXPECT_LE(tests::difference(w_VD.grad(), 2 * once_VD), 1e-6 * tests::magnitude(once_VD));
}

TEST_P(LogpHead, AWeightThatIsMadeOfOthersAndATiedOneGetTheWholeGradient) {
  const at::Tensor label_C = labels(41, 4099);
  const at::Tensor id_C = labels(41, 4000);
  const auto plain_logps = [&](const at::Tensor& h_CD, const at::Tensor& w_VD) {
    return at::log_softmax(h_CD.matmul(w_VD.t()), -1)
        .gather(1, label_C.unsqueeze(1))
        .squeeze(1)
        .to(at::kDouble);
  };
  expect_same([&](const tests::Inputs& in) { return label_logps(in[0], 0.5 * in[1], label_C); },
              [&](const tests::Inputs& in) { return plain_logps(in[0], 0.5 * in[1]); },
              {normal({41, 31}, 1), normal({4099, 31}, 2)});
  expect_same(
      [&](const tests::Inputs& in) {
        return label_logps(at::embedding(in[0], id_C), in[0], label_C);
      },
      [&](const tests::Inputs& in) { return plain_logps(at::embedding(in[0], id_C), in[0]); },
      {normal({4099, 31}, 2)});
}

TEST(NarrowHead, KeepsATrainedWeightsDirection) {
  const at::Tensor h_CD = 0.3 * normal({41, 64}, 1, at::kFloat);
  const at::Tensor label_C = tests::whole_numbers(std::vector<int64_t>(41, 4000));
  const auto slope = [&](tensor::Narrow narrow) {
    tensor::set_narrow_products(narrow);
    const at::Tensor w_VD = normal({4099, 64}, 2, at::kFloat).set_requires_grad(true);
    label_logps(h_CD, w_VD, label_C).sum().backward();
    tensor::set_narrow_products(tensor::Narrow::kNone);
    return w_VD.grad().to(at::kDouble);
  };
  const at::Tensor a = slope(tensor::Narrow::kNone);
  const at::Tensor b = slope(tensor::Narrow::kBackward);
  EXPECT_FALSE(tests::same_bits(a, b));
  EXPECT_GT((a * b).sum().item<double>() /
                std::sqrt(a.square().sum().item<double>() * b.square().sum().item<double>()),
            0.9999);
}

TEST(NarrowHead, KeepsTheValuesAndTheSlopesDirection) {
  const at::Tensor w_VD = normal({4099, 64}, 2, at::kFloat);
  const at::Tensor label_C = tests::whole_numbers(std::vector<int64_t>(41, 4000));
  const auto run = [&](tensor::Narrow narrow) {
    tensor::set_narrow_products(narrow);
    const at::Tensor h_CD = 0.3 * normal({41, 64}, 1, at::kFloat);
    h_CD.set_requires_grad(true);
    const at::Tensor logp_C = label_logps(h_CD, w_VD, label_C);
    logp_C.sum().backward();
    tensor::set_narrow_products(tensor::Narrow::kNone);
    return std::pair(logp_C.detach(), h_CD.grad().to(at::kDouble));
  };
  const auto [exact, slope] = run(tensor::Narrow::kNone);
  const auto [same, rounded] = run(tensor::Narrow::kBackward);
  EXPECT_TRUE(tests::same_bits(exact, same));
  EXPECT_FALSE(tests::same_bits(slope, rounded));
  EXPECT_GT(
      (slope * rounded).sum().item<double>() /
          std::sqrt(slope.square().sum().item<double>() * rounded.square().sum().item<double>()),
      0.9999);
}

TEST_P(LogpHead, WidensAFrozenBf16Weight) {
  const at::Tensor label_C = labels(137, 53);
  const at::Tensor w_VD = normal({53, 31}, 4).to(at::kBFloat16);
  const auto ours = [&](const tests::Inputs& in) { return label_logps(in[0], w_VD, label_C); };
  const auto plain = [&](const tests::Inputs& in) {
    return label_logps(in[0], w_VD.to(dtype()), label_C);
  };
  expect_same(ours, plain, {normal({137, 31}, 5)});
}

TEST_P(LogpHead, GivesTheSameValueWithAndWithoutGradients) {
  const at::Tensor label_C = labels(137, 53);
  at::Tensor h_CD = normal({137, 31}, 6, dtype());
  at::Tensor w_VD = normal({53, 31}, 7, dtype());
  const at::Tensor bare_C = label_logps(h_CD, w_VD, label_C);
  EXPECT_FALSE(bare_C.requires_grad());
  h_CD.set_requires_grad(true);
  EXPECT_TRUE(tests::same_bits(bare_C, label_logps(h_CD, w_VD, label_C).detach()));
  w_VD.set_requires_grad(true);
  EXPECT_TRUE(tests::same_bits(bare_C, label_logps(h_CD, w_VD, label_C).detach()));
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(tests::same_bits(bare_C, label_logps(h_CD, w_VD, label_C)));
}

TEST_P(LogpHead, ConcentrationIsTheLogSumOfSquaredProbabilities) {
  for (const int64_t C : {1, 41, 128, 307}) {
    SCOPED_TRACE(C);
    const at::Tensor label_C = labels(C, 53);
    const at::Tensor h_CD = normal({C, 31}, 1, dtype()).set_requires_grad(true);
    const at::Tensor w_VD = normal({53, 31}, 2, dtype());
    const LabelScores scores = label_scores(h_CD, w_VD, label_C);
    const at::Tensor p_CV = at::softmax(h_CD.matmul(w_VD.t()), -1);
    const at::Tensor plain_C = (p_CV * p_CV).sum(-1).log();
    EXPECT_LE(tests::difference(scores.concentration_C, plain_C),
              dtype() == at::kDouble ? 1e-12 : 1e-5);
    EXPECT_EQ(scores.concentration_C.scalar_type(), at::kDouble);
    EXPECT_FALSE(scores.concentration_C.requires_grad());
    EXPECT_TRUE(scores.logp_C.requires_grad());
    EXPECT_TRUE(
        tests::same_bits(scores.logp_C.detach(), label_logps(h_CD, w_VD, label_C).detach()));
  }
}

// A row that is sure of one of two tokens: log(1^2 + 0^2) = 0; one that is torn between three:
// log(3 / 9) = -log 3. With logits of +-1e4 neither overflows.
TEST_P(LogpHead, ConcentrationOfTheSureAndTheTorn) {
  at::Tensor h_CD = normal({2, 1}, 8, dtype());
  h_CD.select(0, 0).fill_(1e4);
  h_CD.select(0, 1).fill_(0);
  at::Tensor w_VD = normal({3, 1}, 9, dtype()).fill_(-1);
  w_VD.select(0, 1).fill_(1);
  const auto got =
      tests::numbers(label_scores(h_CD, w_VD, tests::whole_numbers({0, 1})).concentration_C);
  EXPECT_EQ(got[0], 0);
  EXPECT_NEAR(got[1], -std::log(3.0), dtype() == at::kDouble ? 1e-15 : 1e-7);
}

TEST_P(LogpHead, HugeLogitsStayFinite) {
  // Logits 0, 1e4 and -1e4: the log-probs are 0 - 1e4, 0 and -2e4 exactly.
  const at::Tensor h_CD = normal({3, 1}, 8, dtype()).fill_(1e4);
  at::Tensor w_VD = normal({3, 1}, 9, dtype()).fill_(0);
  w_VD.select(0, 1).fill_(1);
  w_VD.select(0, 2).fill_(-1);
  const at::Tensor logp_C = label_logps(h_CD, w_VD, tests::whole_numbers({0, 1, 2}));
  EXPECT_EQ(tests::numbers(logp_C), (std::vector<double>{-1e4, 0, -2e4}));
}

TEST_P(LogpHead, ANanStaysInItsRow) {
  at::Tensor h_CD = normal({3, 31}, 10, dtype());
  h_CD.select(0, 1).select(0, 4).fill_(NAN);
  const auto logp = tests::numbers(label_logps(h_CD, normal({53, 31}, 11, dtype()), labels(3, 53)));
  EXPECT_TRUE(std::isfinite(logp[0]));
  EXPECT_TRUE(std::isnan(logp[1]));
  EXPECT_TRUE(std::isfinite(logp[2]));
}

}  // namespace
}  // namespace attune::nn
