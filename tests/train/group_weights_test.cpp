#include "attune/train/group_weights.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include "attune/core/error.h"
#include "attune/train/session.h"
#include "attune/train/step.h"

#include "tests/data/support.h"
#include "tests/objective/support.h"

namespace attune::train {
namespace {

using Weights = std::map<std::string, double>;
using objective::SequenceLogps;
using tests::f64;
using tests::numbers;

// The same shares of every unit.
TagShares shares_of(const Weights& shares) {
  TagShares all;
  for (const auto& [tag, share] : shares) {
    all[tag] = {.pair = share, .label = share, .group = share};
  }
  return all;
}

// Pairs of the tags given, in micro-batches of `size` pairs each; those of tag b cost 3 and 1, all
// others 1 and 0.
std::vector<PreferenceBatch> batches_of(const std::vector<std::string>& tags,
                                        size_t size,
                                        bool with_strangers = false) {
  std::vector<PreferenceBatch> batches;
  for (size_t first = 0; first < tags.size(); first += size) {
    std::vector<data::EncodedGroup> groups;
    std::vector<int64_t> indices;
    std::vector<std::vector<int32_t>> strangers;
    for (size_t i = first; i < std::min(first + size, tags.size()); ++i) {
      groups.push_back(
          {.prompt = {1},
           .completions = {{2}, {3}},
           .comparisons = {{.winner = 0, .loser = 1}},
           .values = {{"cost",
                       tags[i] == "b" ? std::vector<float>{3, 1} : std::vector<float>{1, 0}}},
           .tag = tags[i]});
      indices.push_back(static_cast<int64_t>(i));
      if (with_strangers) {
        strangers.push_back({5});
      }
    }
    batches.push_back(lift(data::pack(groups, indices, strangers)));
  }
  return batches;
}

// A model of one number a pair: log pi(chosen) = x_i, log pi(rejected) = 0, log pi(stranger) =
// strangers_i, and a reference of 0.
struct Fixture {
  std::vector<double> start;
  objective::Objective objective{std::vector<objective::TermOptions>{
      {.kind = "dpo", .options = objective::DpoOptions{.beta = 1}, .where = {}}}};
  std::vector<double> strangers = {};
  at::Tensor x = {};
  at::Tensor gradient = {};
  objective::Objective::State state = {};

  StepReport step(std::vector<PreferenceBatch> batches, GroupWeights* weights) {
    x = f64(start).set_requires_grad(true);
    optim::AdamW optimizer({x}, {});
    if (state.empty()) {
      state = objective.initial_state();
    }
    StepParts parts;
    parts.objective = &objective;
    parts.state = &state;
    parts.optimizer = &optimizer;
    parts.max_grad_norm = 0;
    parts.policy = [this](const PreferenceBatch& batch) {
      std::vector<at::Tensor> logps;
      for (const int64_t i : batch.groups) {
        logps.push_back(x.narrow(0, i, 1));
        logps.push_back(f64({0}));
        if (!strangers.empty()) {
          logps.push_back(f64({strangers[static_cast<size_t>(i)]}));
        }
      }
      return SequenceLogps{.sum_S = at::cat(logps), .count_S = batch.count_S};
    };
    parts.reference = [](const PreferenceBatch& batch) {
      return SequenceLogps{.sum_S = batch.count_S * 0, .count_S = batch.count_S};
    };
    if (weights != nullptr) {
      for (PreferenceBatch& batch : batches) {
        weights->scale(batch);
      }
      parts.hear = [&](std::span<const PreferenceBatch> heard, const auto& out) {
        weights->hear(objective, heard, out);
      };
    }
    const StepReport report = run_step(parts, batches, /*lr=*/0);
    gradient = x.grad().clone();
    return report;
  }
};

double loss_of(double margin) {
  return std::log1p(std::exp(-margin));
}

TEST(GroupWeights, MoveByTheExponentOfTheTagsMeanLoss) {
  Fixture fixture{.start = {2, 1, -1}};
  GroupWeights weights(0.5, shares_of({{"a", 0.75}, {"b", 0.25}}), {});
  EXPECT_EQ(weights.weights(), (Weights{{"a", 0.5}, {"b", 0.5}}));
  fixture.step(batches_of({"a", "a", "b"}, 3), &weights);
  weights.move();
  // Means: a (l(2) + l(1)) / 2, b l(-1); each weight times exp(0.5 mean), then divided by the sum.
  const double a = std::exp(0.5 * (loss_of(2) + loss_of(1)) / 2);
  const double b = std::exp(0.5 * loss_of(-1));
  EXPECT_NEAR(weights.weights().at("a"), a / (a + b), 1e-12);
  EXPECT_NEAR(weights.weights().at("b"), b / (a + b), 1e-12);
}

TEST(GroupWeights, TheGradientIsThatOfTheWeightedLosses) {
  Fixture fixture{.start = {2, 1, -1}};
  const GroupWeights start(0.5, shares_of({{"a", 0.75}, {"b", 0.25}}), {{"a", 0.2}, {"b", 0.8}});
  GroupWeights weights = start;
  fixture.step(batches_of({"a", "a", "b"}, 3), &weights);
  // Each of the 3 pairs: (q / p) / 3 times the slope -sigmoid(-x).
  const auto slope = [](double x) { return -1 / (1 + std::exp(x)); };
  const std::vector<double> got = numbers(fixture.gradient);
  EXPECT_NEAR(got[0], 0.2 / 0.75 / 3 * slope(2), 1e-12);
  EXPECT_NEAR(got[1], 0.2 / 0.75 / 3 * slope(1), 1e-12);
  EXPECT_NEAR(got[2], 0.8 / 0.25 / 3 * slope(-1), 1e-12);
}

TEST(GroupWeights, AnyCuttingMovesThemAlike) {
  const std::vector<std::string> tags{"a", "b", "a", "c", "b", "a", "a"};
  const TagShares shares = shares_of({{"a", 4.0 / 7}, {"b", 2.0 / 7}, {"c", 1.0 / 7}});
  Fixture fixture{.start = {2, 1, -1, 0.5, -2, 3, 0.25}};
  GroupWeights whole(0.3, shares, {});
  fixture.step(batches_of(tags, 7), &whole);
  whole.move();
  for (const size_t size : {1, 2, 5}) {
    GroupWeights cut(0.3, shares, {});
    fixture.step(batches_of(tags, size), &cut);
    cut.move();
    for (const auto& [tag, weight] : whole.weights()) {
      EXPECT_NEAR(cut.weights().at(tag), weight, 1e-12) << tag << ", " << size;
    }
  }
}

TEST(GroupWeights, TheWorstTagsWeightRisesAndAnAbsentOneKeepsItsPlace) {
  Fixture fixture{.start = {2, 1, -1}};
  GroupWeights weights(0.1, shares_of({{"a", 0.5}, {"b", 0.25}, {"c", 0.25}}), {});
  double before = weights.weights().at("b");
  for (int step = 0; step < 50; ++step) {
    fixture.step(batches_of({"a", "a", "b"}, 2), &weights);
    weights.move();
    EXPECT_GT(weights.weights().at("b"), before) << step;
    before = weights.weights().at("b");
  }
  EXPECT_GT(before, 0.95);
  EXPECT_GT(weights.weights().at("a"), weights.weights().at("c"));  // c was never seen to lose
}

TEST(GroupWeights, GoOnWhereACheckpointLeftThem) {
  const TagShares shares = shares_of({{"a", 0.5}, {"b", 0.5}});
  Fixture fixture{.start = {2, -1}};
  GroupWeights through(0.2, shares, {});
  Weights saved;
  for (int step = 0; step < 6; ++step) {
    if (step == 3) {
      saved = through.weights();
    }
    fixture.step(batches_of({"a", "b"}, 2), &through);
    through.move();
  }
  GroupWeights resumed(0.2, shares, saved);
  for (int step = 3; step < 6; ++step) {
    fixture.step(batches_of({"a", "b"}, 2), &resumed);
    resumed.move();
  }
  EXPECT_EQ(resumed.weights(), through.weights());
  EXPECT_THROW(GroupWeights(0.2, shares, {{"a", 1.0}}), Error);
}

TEST(GroupWeights, ATagComesBackAfterLossesThatLeftItNothing) {
  // SPPO at beta 0.001 is (x - 500)^2 / 2 + 500^2 / 2: 250000 at x = 0 and 245050 at x = 10. At eta
  // 0.1 a step is a factor of exp(495), so that two would leave b exactly 0.
  const std::vector<objective::TermOptions> sppo{
      {.kind = "sppo", .options = objective::SppoOptions{.beta = 0.001}, .where = {}}};
  Fixture worse_a{.start = {0, 10}, .objective = objective::Objective(sppo)};
  Fixture worse_b{.start = {10, 0}, .objective = objective::Objective(sppo)};
  GroupWeights weights(0.1, shares_of({{"a", 0.5}, {"b", 0.5}}), {});
  for (int step = 0; step < 3; ++step) {
    worse_a.step(batches_of({"a", "b"}, 2), &weights);
    weights.move();
    EXPECT_NEAR(weights.weights().at("b"), 0.5e-6, 1e-12) << step;
    EXPECT_NEAR(weights.weights().at("a") + weights.weights().at("b"), 1, 1e-15) << step;
  }
  worse_b.step(batches_of({"a", "b"}, 2), &weights);
  weights.move();
  EXPECT_NEAR(weights.weights().at("a"), 0.5e-6, 1e-12);
  EXPECT_NEAR(weights.weights().at("b"), 1, 1e-6);
}

template <class Options>
objective::Objective only(const Options& options) {
  return objective::Objective(std::vector<objective::TermOptions>{
      {.kind = std::string(options.kKind), .options = options, .where = {}}});
}

TEST(GroupWeights, ABudgetIsOfTheReweightedStep) {
  // Policy and reference agree: E is 1/2 for tag a and 2 for tag b, of which q takes a fifth and
  // four fifths.
  Fixture fixture{.start = {0, 0, 0},
                  .objective = only(objective::ConstraintOptions{.budget = 0.4, .dual_lr = 0.5})};
  GroupWeights weights(0.5, shares_of({{"a", 2.0 / 3}, {"b", 1.0 / 3}}), {{"a", 0.2}, {"b", 0.8}});
  const StepReport report = fixture.step(batches_of({"a", "a", "b"}, 3), &weights);
  EXPECT_NEAR(report.mean.figures.at("constraint.cost"), 0.2 * 0.5 + 0.8 * 2, 1e-14);
  EXPECT_NEAR(fixture.state[0].at("dual"), 0.5 * (1.7 - 0.4), 1e-14);
}

TEST(GroupWeights, KtosEstimateIsOfTheReweightedStep) {
  Fixture fixture{
      .start = {0, 0, 0}, .objective = only(objective::KtoOptions{}), .strangers = {0.1, 0.1, 0.4}};
  GroupWeights weights(0.5, shares_of({{"a", 2.0 / 3}, {"b", 1.0 / 3}}), {{"a", 0.2}, {"b", 0.8}});
  const StepReport report = fixture.step(batches_of({"a", "a", "b"}, 3, true), &weights);
  EXPECT_NEAR(report.mean.figures.at("kto.kl"), 0.2 * 0.1 + 0.8 * 0.4, 1e-14);
}

TEST(GroupWeights, AnyCuttingIsTheSameStepForTermsThatCoupleTheirItems) {
  const std::vector<std::string> tags{"a", "b", "a", "c", "b", "a", "a"};
  const TagShares shares = shares_of({{"a", 4.0 / 7}, {"b", 2.0 / 7}, {"c", 1.0 / 7}});
  int coupled = 0;
  objective::visit_kinds([&](const auto& options) {
    const objective::TermOptions term{
        .kind = std::string(options.kKind), .options = options, .where = {}};
    const objective::Needs& needs = options.kNeeds;
    if (!needs.whole_step || has_one_loss(term)) {
      return;
    }
    SCOPED_TRACE(term.kind);
    ++coupled;
    const auto two_steps = [&](size_t size) {
      Fixture fixture{.start = {2, 1, -1, 0.5, -2, 3, 0.25}, .objective = only(options)};
      if (needs.mismatched) {
        fixture.strangers = {0.5, -0.25, 1, 0.75, 0.3, -0.5, 2};
      }
      GroupWeights weights(0.3, shares, {});
      std::vector<double> all;
      for (int step = 0; step < 2; ++step) {
        const double loss =
            fixture.step(batches_of(tags, size, needs.mismatched), &weights).mean.loss;
        weights.move();
        all.push_back(loss);
      }
      for (const double x : numbers(fixture.gradient)) {
        all.push_back(x);
      }
      for (const auto& [tag, weight] : weights.weights()) {
        all.push_back(weight);
      }
      return all;
    };
    const std::vector<double> whole = two_steps(7);
    for (const size_t size : {1, 2, 5}) {
      const std::vector<double> cut = two_steps(size);
      ASSERT_EQ(cut.size(), whole.size());
      for (size_t i = 0; i < whole.size(); ++i) {
        EXPECT_NEAR(cut[i], whole[i], 1e-12) << size << ", entry " << i;
      }
    }
  });
  EXPECT_GE(coupled, 5);  // aot, bco_unpaired, beta_dpo, constraint, kto
}

struct Rows {
  data::testing::Folder folder;
  RunOptions run;
  RunData data;

  explicit Rows(const std::vector<std::string>& rows)
      : run(options_of(folder)), data(data_of(run, folder, rows)) {}

 private:
  static RunOptions options_of(const data::testing::Folder& folder) {
    RunOptions run;
    run.data.tag = "task";
    run.data.cache_dir = folder.at("cache");
    return run;
  }
  static RunData data_of(const RunOptions& run,
                         const data::testing::Folder& folder,
                         const std::vector<std::string>& rows) {
    std::string text;
    for (const std::string& row : rows) {
      text += row + "\n";
    }
    const std::vector<std::string> files{folder.write("rows.jsonl", text)};
    Watcher watcher;
    auto [cache, report] = data::build_token_cache(
        run.data, files, *data::testing::tiny_tokenizer(), nullptr, watcher);
    RunData data{.cache = cache,
                 .report = report,
                 .other_held_out = std::nullopt,
                 .held_out_report = std::nullopt,
                 .train = {},
                 .held_out = {}};
    for (int64_t i = 0; i < cache.size(); ++i) {
      data.train.push_back(i);
    }
    return data;
  }
};

std::string pair_row(const std::string& prompt, const std::string& task, int weight) {
  return R"({"prompt": ")" + prompt + R"(", "chosen": " a", "rejected": " b", "task": ")" + task +
         R"(", "weight": )" + std::to_string(weight) + "}";
}

TEST(TagShares, AreOfTheWeightsThatTheLossIsDividedBy) {
  // Two pairs each; 10 + 10 against 1 + 1.
  const Rows rows({pair_row("P", "heavy", 10),
                   pair_row("Q", "light", 1),
                   pair_row("R", "heavy", 10),
                   pair_row("S", "light", 1)});
  const TagShares shares = tag_shares(rows.run, rows.data);
  ASSERT_EQ(shares.size(), 2);
  EXPECT_NEAR(shares.at("heavy").pair, 20.0 / 22, 1e-15);
  EXPECT_NEAR(shares.at("light").pair, 2.0 / 22, 1e-15);
  // Each side of a pair is a label of the pair's weight, each pair a ranking of two.
  EXPECT_NEAR(shares.at("light").label, 2.0 / 22, 1e-15);
  EXPECT_NEAR(shares.at("light").group, 2.0 / 22, 1e-15);
}

TEST(TagShares, AreOfEachUnit) {
  // Three completions in order: 3 comparisons, 1 ranking, and labels of the best (2 wins) and the
  // worst (2 losses). A labelled completion alone is one label.
  const Rows rows(
      {R"({"prompt": "P", "completions": [" a", " b", " c"], "scores": [3, 2, 1], "task": "x"})",
       R"({"prompt": "Q", "completion": " a", "label": true, "task": "y"})",
       pair_row("R", "y", 1)});
  const TagShares shares = tag_shares(rows.run, rows.data);
  EXPECT_NEAR(shares.at("x").pair, 3.0 / 4, 1e-15);
  EXPECT_NEAR(shares.at("x").label, 4.0 / 7, 1e-15);
  EXPECT_NEAR(shares.at("x").group, 1.0 / 2, 1e-15);
  EXPECT_NEAR(shares.at("y").label, 3.0 / 7, 1e-15);
}

TEST(GroupWeights, RowsOfUnlikeWeightsAreTheMixtureThatTheWeightsName) {
  // With q = p of the weights, nothing changes; with q = 1/2 each tag's mean counts half.
  std::vector<PreferenceBatch> batches = batches_of({"heavy", "light"}, 2);
  batches[0].feedback.pairs.weight_P = f64({10, 1});
  batches[0].weights.pair = 11;
  Fixture fixture{.start = {2, -1}};
  GroupWeights weights(0.5, {{"heavy", {.pair = 10.0 / 11}}, {"light", {.pair = 1.0 / 11}}}, {});
  fixture.step(batches, &weights);
  const auto slope = [](double x) { return -1 / (1 + std::exp(x)); };
  const std::vector<double> got = numbers(fixture.gradient);
  EXPECT_NEAR(got[0], 0.5 * slope(2), 1e-12);
  EXPECT_NEAR(got[1], 0.5 * slope(-1), 1e-12);
}

}  // namespace
}  // namespace attune::train
