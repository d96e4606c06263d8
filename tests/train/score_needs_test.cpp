// What a score holds beside the sums, against one plain text after the other with whole logits:
// values and gradients, in any packing.
#include <cmath>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>

#include "attune/train/reference.h"
#include "attune/train/score.h"

#include "tests/train/support.h"

namespace attune::train {
namespace {

using tests::difference;
using tests::golden;

struct Case {
  const char* model;
  at::ScalarType dtype;
  bool full;
};

// A number of its own for every completion and every token, the same in any packing.
double slope(int64_t group, size_t completion, size_t what) {
  return std::sin(1.0 + 7.0 * static_cast<double>(group) + 3.0 * static_cast<double>(completion) +
                  static_cast<double>(what));
}

class ScoreNeeds : public testing::TestWithParam<Case> {
 protected:
  // The policy carries an adapter or trains every weight; the reference is the other of the two.
  ScoreNeeds() {
    if (GetParam().full) {
      tests::train_all(*policy_);
      tests::add_golden_lora(*other_, GetParam().model, GetParam().dtype);
    } else {
      tests::add_golden_lora(*policy_, GetParam().model, GetParam().dtype);
    }
  }

  /// Everything that is said of the groups' completions, and the gradient of a weighted sum of
  /// what carries gradients.
  struct Result {
    // Sums, divergences, then each token's log-prob and concentration, by group.
    std::map<int64_t, std::vector<double>> numbers;
    std::map<std::string, at::Tensor> grads;
  };

  Result packed(int64_t max_tokens) {
    Result all;
    clear_gradients();
    for (const PreferenceBatch& batch : groups_.cut(max_tokens)) {
      const ScoreOptions options{
          .needs = {.tokens = true, .divergence = true, .concentration = true},
          .reference = frozen_rows(batch)};
      const objective::SequenceLogps logps = score(*policy_, batch, {}, options);
      EXPECT_FALSE(logps.concentration_C.requires_grad());
      weighted(batch, logps).backward();
      const auto add = [&](const at::Tensor& from, const auto& group_of) {
        const std::vector<double> numbers = tests::numbers(from);
        for (size_t i = 0; i < numbers.size(); ++i) {
          all.numbers[group_of(i)].push_back(numbers[i]);
        }
      };
      const auto of_sequence = [&](size_t s) {
        return batch.groups[static_cast<size_t>(batch.group_S[s])];
      };
      const auto of_token = [&](size_t c) {
        const auto* sequence = batch.sequence_C.const_data_ptr<int64_t>();
        return of_sequence(static_cast<size_t>(sequence[c]));
      };
      add(logps.sum_S, of_sequence);
      add(logps.divergence_S, of_sequence);
      add(logps.token_C, of_token);
      add(logps.concentration_C, of_token);
    }
    all.grads = gradients();
    return all;
  }

  Result plain() {
    Result all;
    clear_gradients();
    for (size_t g = 0; g < groups_.groups.size(); ++g) {
      const data::EncodedGroup& group = groups_.groups[g];
      std::vector<double> sums, divergences, tokens, concentrations;
      for (size_t k = 0; k < group.completions.size(); ++k) {
        std::vector<int32_t> text = group.prompt;
        text.insert(text.end(), group.completions[k].begin(), group.completions[k].end());
        at::Tensor ids_T = tests::count_up(static_cast<int64_t>(text.size()));
        std::copy(text.begin(), text.end(), ids_T.data_ptr<int64_t>());
        const auto first = static_cast<int64_t>(group.prompt.size());
        const auto logp_TV = [&](const model::Decoder& model, const adapter::Pass& pass) {
          const at::Tensor h_TD = tests::hidden(model, ids_T, pass).slice(0, first - 1, -1);
          return at::log_softmax(h_TD.matmul(model.head_weight().t()), -1).to(at::kDouble);
        };
        const at::Tensor p_TV = logp_TV(*policy_, {});
        const at::Tensor q_TV = reference_logp(logp_TV);
        const at::Tensor token_T = p_TV.gather(1, ids_T.slice(0, first).unsqueeze(1)).squeeze(1);
        const at::Tensor divergence = (q_TV.exp() * (q_TV - p_TV)).sum();
        at::Tensor loss = slope(static_cast<int64_t>(g), k, 0) * token_T.sum() +
                          slope(static_cast<int64_t>(g), k, 1) * divergence;
        for (int64_t t = 0; t < token_T.size(0); ++t) {
          loss = loss + slope(static_cast<int64_t>(g), k, 2 + static_cast<size_t>(t)) * token_T[t];
        }
        loss.backward();
        const auto append = [](std::vector<double>& to, const std::vector<double>& from) {
          to.insert(to.end(), from.begin(), from.end());
        };
        append(sums, {token_T.sum().item<double>()});
        append(divergences, {divergence.item<double>()});
        append(tokens, tests::numbers(token_T));
        append(concentrations, tests::numbers((2 * p_TV).logsumexp(-1)));
      }
      std::vector<double>& numbers = all.numbers[static_cast<int64_t>(g)];
      for (const auto& list : {sums, divergences, tokens, concentrations}) {
        numbers.insert(numbers.end(), list.begin(), list.end());
      }
    }
    all.grads = gradients();
    return all;
  }

  static void expect_same(const Result& a, const Result& b, double tolerance) {
    ASSERT_EQ(a.numbers.size(), b.numbers.size());
    for (const auto& [group, numbers] : a.numbers) {
      const std::vector<double>& others = b.numbers.at(group);
      ASSERT_EQ(numbers.size(), others.size());
      for (size_t i = 0; i < numbers.size(); ++i) {
        EXPECT_NEAR(numbers[i], others[i], 10 * tolerance) << "group " << group << ", " << i;
      }
    }
    ASSERT_EQ(a.grads.size(), b.grads.size());
    for (const auto& [name, grad] : a.grads) {
      ASSERT_GT(tests::magnitude(grad), 0) << name;
      EXPECT_LE(difference(grad, b.grads.at(name)), tolerance * tests::magnitude(grad)) << name;
    }
  }

 private:
  [[nodiscard]] const model::Decoder& reference_model() const {
    return GetParam().full ? *other_ : *policy_;
  }
  [[nodiscard]] adapter::Pass reference_pass() const {
    return {.adapters = GetParam().full};
  }
  HeadRows frozen_rows(const PreferenceBatch& batch) const {
    const at::NoGradGuard no_grad;
    return head_rows(reference_model(), batch, reference_pass());
  }
  template <class Logp>
  at::Tensor reference_logp(const Logp& logp_TV) const {
    const at::NoGradGuard no_grad;
    return logp_TV(reference_model(), reference_pass());
  }

  static at::Tensor weighted(const PreferenceBatch& batch, const objective::SequenceLogps& logps) {
    at::Tensor loss;
    const auto add = [&loss](const at::Tensor& part) {
      loss = loss.defined() ? loss + part : part;
    };
    int64_t c = 0;
    size_t k = 0;
    for (size_t s = 0; s < batch.group_S.size(); ++s) {
      k = s > 0 && batch.group_S[s] == batch.group_S[s - 1] ? k + 1 : 0;
      const int64_t g = batch.groups[static_cast<size_t>(batch.group_S[s])];
      const auto at = static_cast<int64_t>(s);
      add(slope(g, k, 0) * logps.sum_S[at] + slope(g, k, 1) * logps.divergence_S[at]);
      const auto count = static_cast<int64_t>(batch.count_S[at].item<double>());
      for (int64_t t = 0; t < count; ++t) {
        add(slope(g, k, 2 + static_cast<size_t>(t)) * logps.token_C[c++]);
      }
    }
    return loss;
  }

  void clear_gradients() {
    for (auto& [name, tensor] : policy_->trained_parameters()) {
      tensor.mutable_grad() = at::Tensor();
    }
  }
  std::map<std::string, at::Tensor> gradients() {
    std::map<std::string, at::Tensor> grads;
    for (const auto& [name, tensor] : policy_->trained_parameters()) {
      grads[name] = tensor.grad();
    }
    return grads;
  }

  tests::GoldenGroups groups_;
  std::unique_ptr<model::Decoder> policy_ =
      tests::load(golden("models") / GetParam().model, GetParam().dtype);
  std::unique_ptr<model::Decoder> other_ =
      tests::load(golden("models") / GetParam().model, GetParam().dtype);
};

INSTANTIATE_TEST_SUITE_P(Models,
                         ScoreNeeds,
                         testing::Values(Case{"qwen3", at::kDouble, false},
                                         Case{"qwen3", at::kDouble, true},
                                         Case{"smollm2", at::kDouble, false},
                                         Case{"smollm2", at::kDouble, true},
                                         Case{"smollm2", at::kFloat, false},
                                         Case{"smollm2", at::kFloat, true}),
                         [](const auto& test) {
                           return fmt::format("{}{}{}",
                                              test.param.model,
                                              test.param.dtype == at::kFloat ? 32 : 64,
                                              test.param.full ? "full" : "lora");
                         });

TEST_P(ScoreNeeds, AnyPackingIsOnePlainTextAfterTheOther) {
  const Result want = plain();
  // 1: every group alone; 1 << 20: all together.
  for (const int64_t budget : {1, 41, 1 << 20}) {
    SCOPED_TRACE(budget);
    expect_same(want, packed(budget), GetParam().dtype == at::kDouble ? 1e-11 : 1e-4);
  }
}

TEST(Score, WhatNobodyAskedForIsUndefined) {
  const tests::GoldenGroups groups;
  const auto model = tests::load(golden("models/qwen3"));
  const objective::SequenceLogps logps = score(*model, groups.cut(1 << 20)[0], {});
  EXPECT_TRUE(logps.sum_S.defined());
  EXPECT_FALSE(logps.token_C.defined());
  EXPECT_FALSE(logps.concentration_C.defined());
  EXPECT_FALSE(logps.divergence_S.defined());
}

}  // namespace
}  // namespace attune::train
