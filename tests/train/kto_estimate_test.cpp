// KTO's estimate of the KL, from rows to the figure in the metrics.
#include <cmath>
#include <numeric>

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/zeros_like.h>

#include "attune/data/token_cache.h"
#include "attune/train/evaluate.h"
#include "attune/train/step.h"

#include "tests/data/support.h"
#include "tests/objective/support.h"

namespace attune::train {
namespace {

using objective::SequenceLogps;
using tests::f64;

constexpr double kBeta = 0.5;

// By how much the policy likes a token better than the reference, wherever it stands: nats.
double lift_of(int64_t token) {
  return 0.25 * static_cast<double>(1 + token % 3);
}

double lift_of(const std::vector<int32_t>& completion) {
  return std::accumulate(completion.begin(), completion.end(), 0.0, [](double sum, int32_t token) {
    return sum + lift_of(token);
  });
}

struct Labelled {
  data::testing::Folder folder;
  data::TokenCache cache = make(folder);
  std::vector<int64_t> groups = {0, 1, 2, 3, 4};
  objective::Objective kto{std::vector<objective::TermOptions>{
      {.kind = "kto", .options = objective::KtoOptions{.beta = kBeta}, .where = {}}}};

  static data::TokenCache make(const data::testing::Folder& folder) {
    std::string text;
    for (const char* const row : {R"("prompt": "A?", "completion": " a b c", "label": true)",
                                  R"("prompt": "B?", "completion": " dog", "label": false)",
                                  R"("prompt": "C?", "completion": " d", "label": true)",
                                  R"("prompt": "D?", "completion": " b", "label": true)",
                                  R"("prompt": "E?", "completion": " c a", "label": false)"}) {
      text += std::string("{") + row + "}\n";
    }
    const std::vector<std::string> files{folder.write("rows.jsonl", text)};
    data::DataOptions options;
    options.cache_dir = folder.at("cache");
    Watcher watcher;
    return data::build_token_cache(
               options, files, *data::testing::tiny_tokenizer(), nullptr, watcher)
        .first;
  }

  // A step of a policy whose log-ratio is `sign` times the tokens' lift.
  StepReport step(double sign, int64_t max_tokens) {
    at::Tensor x = f64({0}).set_requires_grad(true);
    optim::AdamW optimizer({x}, {});
    const auto logps = [](const PreferenceBatch& batch, double times) {
      at::Tensor each_C = batch.label_C.to(at::kDouble);
      auto* each = each_C.data_ptr<double>();
      for (int64_t c = 0; c < each_C.size(0); ++c) {
        each[c] = times * lift_of(static_cast<int64_t>(each[c])) - 3;
      }
      return SequenceLogps{
          .sum_S = at::zeros_like(batch.count_S).index_add(0, batch.sequence_C, each_C),
          .count_S = batch.count_S};
    };
    const StepParts parts{
        .objective = &kto,
        .optimizer = &optimizer,
        .policy =
            [&](const PreferenceBatch& batch) {
              SequenceLogps out = logps(batch, sign);
              out.sum_S = out.sum_S + x;
              return out;
            },
        .reference = [&](const PreferenceBatch& batch) { return logps(batch, 0); },
        .max_grad_norm = 0};
    return run_step(parts, batches_of(cache, groups, kto, max_tokens), /*lr=*/0);
  }
};

// Every completion is put under the prompt before it, once, and a token's lift is the same there.
TEST(KtoEstimate, IsTheStrangersMeanLogRatioHoweverTheStepIsCut) {
  Labelled rows;
  double kl = 0;
  for (const int64_t group : rows.groups) {
    kl += lift_of(rows.cache.group(group).completions[0]) / 5;
  }
  ASSERT_GT(kl, 0.5);
  double loss = 0;
  for (const int64_t group : rows.groups) {
    const double z = kBeta * (lift_of(rows.cache.group(group).completions[0]) - kl);
    const bool desirable = group != 1 && group != 4;
    loss += 1 / (1 + std::exp(desirable ? z : -z)) / 5;
  }
  for (const int64_t max_tokens : {1, 17, 10000}) {
    SCOPED_TRACE(max_tokens);
    const StepReport report = rows.step(1, max_tokens);
    EXPECT_NEAR(report.mean.figures.at("kto.kl"), kl, 1e-13);
    EXPECT_NEAR(report.mean.loss, loss, 1e-13);
  }
}

TEST(KtoEstimate, IsZeroWhereThePolicyLikesStrangersLessThanTheReferenceDoes) {
  Labelled rows;
  for (const int64_t max_tokens : {1, 10000}) {
    EXPECT_EQ(rows.step(-1, max_tokens).mean.figures.at("kto.kl"), 0);
  }
}

}  // namespace
}  // namespace attune::train
