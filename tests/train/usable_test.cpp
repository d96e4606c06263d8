// What of real rows an objective gets to learn from, and what it says when they lack something.
#include "attune/train/usable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>

#include "attune/train/batch.h"

#include "tests/data/support.h"

namespace attune::train {
namespace {

using data::testing::Folder;
using data::testing::message_of;
using objective::TermOptions;
using objective::Unit;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Listener : public Watcher {
 public:
  void warn(std::string_view line) override {
    warnings.emplace_back(line);
  }
  std::vector<std::string> warnings;
};

const char* const kPair = R"({"prompt": "P?", "chosen": " a", "rejected": " b"})";
const char* const kTie = R"({"prompt": "T?", "chosen": " a", "rejected": " b", "p": 0.5})";
const char* const kGood = R"({"prompt": "G?", "completion": " a", "label": true})";
const char* const kBad = R"({"prompt": "B?", "completion": " b", "label": false})";
const char* const kRanking =
    R"({"prompt": "R?", "completions": [" a", " b", " c"], "scores": [2, 3, 1]})";

const char* const kTiedRanking =
    R"({"prompt": "S?", "completions": [" a", " b", " c"], "scores": [3, 3, 1]})";
const char* const kWeightless =
    R"({"prompt": "W?", "completion": " a", "label": true, "weight": 0})";

struct Rows {
  Folder folder;
  Listener listener;
  std::string path;
  std::vector<int64_t> groups;

  data::TokenCache cache(const std::vector<std::string>& rows) {
    std::string text;
    groups.clear();
    for (const std::string& row : rows) {
      groups.push_back(static_cast<int64_t>(groups.size()));
      text += row + "\n";
    }
    path = folder.write("rows.jsonl", text);
    data::DataOptions options;
    options.cache_dir = folder.at("cache");
    const std::vector<std::string> files{path};
    return data::build_token_cache(
               options, files, *data::testing::tiny_tokenizer(), nullptr, listener)
        .first;
  }
};

std::vector<TermOptions> first_of(Unit unit, bool scores = false) {
  std::vector<TermOptions> terms;
  objective::visit_kinds([&](const auto& options) {
    if (terms.empty() && options.kNeeds.unit == unit && options.kNeeds.scores == scores) {
      terms.push_back({.kind = std::string(options.kKind), .options = options});
    }
  });
  return terms;
}

TEST(KeepUsable, AComparingTermLeavesLabelledRowsOutAndSaysSo) {
  Rows rows;
  const auto cache = rows.cache({kPair, kGood, kTie, kRanking, kBad});
  keep_usable({TermOptions()}, cache, rows.groups, /*all=*/true, rows.listener);
  EXPECT_THAT(rows.groups, ElementsAre(0, 2, 3));
  EXPECT_THAT(rows.listener.warnings,
              ElementsAre("2 of the 5 rows are left out: they hold nothing that the objective "
                          "learns from (first: " +
                          rows.path + ":2)"));
}

TEST(KeepUsable, WhereThereIsNothingTheTermAndARowAreNamed) {
  Rows rows;
  const auto cache = rows.cache({kGood, kBad});
  EXPECT_THAT(
      message_of([&] { keep_usable({TermOptions()}, cache, rows.groups, true, rows.listener); }),
      ::testing::StartsWith("objective dpo needs comparisons; " + rows.path +
                            ":1 has none, nor has any other row (columns chosen and rejected"));
  // Held-out rows may lack what a term wants.
  keep_usable({TermOptions()}, cache, rows.groups, /*all=*/false, rows.listener);
  EXPECT_TRUE(rows.groups.empty());
}

TEST(KeepUsable, ABudgetOnLabelledRowsAloneIsRefused) {
  const std::string good = R"({"prompt": "G?", "completion": " a", "label": true, "cost": 1})";
  const std::vector<TermOptions> terms{
      {.kind = "kto", .options = objective::KtoOptions()},
      {.kind = "constraint", .options = objective::ConstraintOptions()}};
  Rows rows;
  const auto cache = rows.cache({good, kBad});
  EXPECT_THAT(message_of([&] { keep_usable(terms, cache, rows.groups, true, rows.listener); }),
              ::testing::StartsWith("objective constraint needs comparisons; " + rows.path +
                                    ":1 has none, nor has any other row (columns chosen and"));
}

TEST(KeepUsable, ALabelTermTakesPairsAndLabelsButNoTies) {
  const auto terms = first_of(Unit::kLabel);
  if (terms.empty()) {
    GTEST_SKIP() << "no term over labels is registered";
  }
  Rows rows;
  const auto cache = rows.cache({kPair, kGood, kTie, kRanking, kBad});
  keep_usable(terms, cache, rows.groups, true, rows.listener);
  EXPECT_THAT(rows.groups, ElementsAre(0, 1, 3, 4));
  const auto ties = rows.cache({kTie});
  EXPECT_THAT(message_of([&] { keep_usable(terms, ties, rows.groups, true, rows.listener); }),
              HasSubstr(":1 has none"));
}

TEST(KeepUsable, ARankingTermTakesWhatIsRanked) {
  const auto terms = first_of(Unit::kGroup);
  if (terms.empty()) {
    GTEST_SKIP() << "no term over rankings is registered";
  }
  Rows rows;
  const auto cache = rows.cache({kPair, kGood, kTie, kRanking, kBad});
  keep_usable(terms, cache, rows.groups, true, rows.listener);
  EXPECT_THAT(rows.groups, ElementsAre(0, 3));
}

TEST(KeepUsable, RankingsWithTiesAreUsableAlsoBesideOtherTerms) {
  const TermOptions ranking{.kind = "plackett_luce", .options = objective::PlackettLuceOptions()};
  Rows rows;
  const auto cache = rows.cache({kTie, kTiedRanking});
  std::vector<int64_t> alone = rows.groups;
  keep_usable({ranking}, cache, alone, true, rows.listener);
  EXPECT_THAT(alone, ElementsAre(1));
  keep_usable({TermOptions(), ranking}, cache, rows.groups, true, rows.listener);
  EXPECT_THAT(rows.groups, ElementsAre(0, 1));
}

TEST(KeepUsable, ALabelThatWeighsNothingIsLeftOut) {
  const TermOptions kto{.kind = "kto", .options = objective::KtoOptions()};
  Rows rows;
  const auto cache = rows.cache({kGood, kWeightless, kBad});
  keep_usable({kto}, cache, rows.groups, true, rows.listener);
  EXPECT_THAT(rows.groups, ElementsAre(0, 2));
  EXPECT_THAT(rows.listener.warnings, ElementsAre(HasSubstr("1 of the 3 rows are left out")));
}

TEST(KeepUsable, LabelsOfOneSideAreAnErrorWhereBothAreNeeded) {
  const TermOptions aot{.kind = "aot_unpaired", .options = objective::AotUnpairedOptions()};
  Rows rows;
  const auto refused = [&](const std::vector<std::string>& list) {
    const auto cache = rows.cache(list);
    return message_of([&] { keep_usable({aot}, cache, rows.groups, true, rows.listener); });
  };
  EXPECT_EQ(
      refused({kGood, kGood}),
      "objective aot_unpaired needs both desirable and undesirable completions; the rows have "
      "only desirable ones (column label)");
  EXPECT_THAT(refused({kBad}), HasSubstr("only undesirable ones"));
  // Held-out rows may be of one side.
  const auto held_out = rows.cache({kBad});
  keep_usable({aot}, held_out, rows.groups, /*all=*/false, rows.listener);
  EXPECT_THAT(rows.groups, ElementsAre(0));
  for (const auto& list : std::vector<std::vector<std::string>>{{kGood, kBad}, {kPair}}) {
    const auto cache = rows.cache(list);
    keep_usable({aot}, cache, rows.groups, true, rows.listener);
    EXPECT_EQ(rows.groups.size(), list.size());
  }
  EXPECT_THAT(rows.listener.warnings, ElementsAre());
}

TEST(KeepUsable, LabelsOfOneSideAreAWarningElsewhere) {
  Rows rows;
  const auto warnings = [&](const TermOptions& term, const std::vector<std::string>& list) {
    const auto cache = rows.cache(list);
    rows.listener.warnings.clear();
    keep_usable({term}, cache, rows.groups, true, rows.listener);
    EXPECT_EQ(rows.groups.size(), list.size());
    return rows.listener.warnings;
  };
  const TermOptions kto{.kind = "kto", .options = objective::KtoOptions()};
  const TermOptions bco{.kind = "bco_unpaired", .options = objective::BcoUnpairedOptions()};
  EXPECT_THAT(warnings(kto, {kGood}),
              ElementsAre("objective kto is meant for both desirable and undesirable completions; "
                          "the rows have only desirable ones (column label)"));
  EXPECT_THAT(warnings(bco, {kBad, kBad}),
              ElementsAre("objective bco_unpaired is meant for both desirable and undesirable "
                          "completions; the rows have only undesirable ones (column label)"));
  EXPECT_THAT(warnings(kto, {kGood, kBad}), ElementsAre());
  EXPECT_THAT(warnings(bco, {kGood, kPair}), ElementsAre());
  EXPECT_THAT(warnings(TermOptions(), {kPair}), ElementsAre());
}

TEST(KeepUsable, ATermThatNeedsScoresNamesTheRowAndTheColumns) {
  const auto terms = first_of(Unit::kPair, /*scores=*/true);
  if (terms.empty()) {
    GTEST_SKIP() << "no term over comparisons with scores is registered";
  }
  Rows rows;
  const auto cache = rows.cache({kRanking, kPair});
  EXPECT_EQ(message_of([&] { keep_usable(terms, cache, rows.groups, true, rows.listener); }),
            fmt::format("objective {} needs a score for every completion; {}:2 has none (columns "
                        "score_chosen and score_rejected, or name them in data.columns)",
                        terms[0].kind,
                        rows.path));
}

TEST(KeepUsable, WhatTheCacheSaysOfAGroupIsWhatABatchMakesOfIt) {
  Rows rows;
  const std::string cycle =
      R"({"prompt": "C?", "completions": [" a", " b", " c"], "yw_idxs": [0, 1, 2],)"
      R"( "yl_idxs": [1, 2, 0]})";
  const std::string unsure =
      R"({"prompt": "U?", "chosen": " a", "rejected": " b", "probability": 0.25})";
  const std::string two_best =
      R"({"prompt": "D?", "completions": [" a", " b", " c"], "scores": [1, 2, 2]})";
  const std::string heavy = R"({"prompt": "H?", "completion": " a", "label": false, "weight": 2})";
  const std::string weightless =
      R"({"prompt": "W?", "chosen": " a", "rejected": " b", "weight": 0})";
  const auto cache = rows.cache({kPair,
                                 kGood,
                                 kTie,
                                 kRanking,
                                 kBad,
                                 cycle,
                                 unsure,
                                 weightless,
                                 kTiedRanking,
                                 two_best,
                                 kWeightless,
                                 heavy});
  const auto side = [](const PreferenceBatch& batch, int sign) {
    const auto& feedback = batch.feedback;
    return (feedback.label_weight_S * (feedback.label_S == sign)).sum().item<double>();
  };
  int64_t ranked = 0;
  for (int64_t i = 0; i < cache.size(); ++i) {
    const data::EncodedGroup group = cache.group(i);
    const PreferenceBatch batch = lift(data::pack(std::span(&group, 1)));
    const data::GroupItems items = cache.items(i);
    EXPECT_EQ(items.compared, batch.weights.pair > 0) << i;
    EXPECT_EQ(items.desirable, side(batch, 1) > 0) << i;
    EXPECT_EQ(items.undesirable, side(batch, -1) > 0) << i;
    EXPECT_EQ(items.labelled(), batch.weights.label > 0) << i;
    EXPECT_EQ(items.ranked, batch.weights.group > 0) << i;
    ranked += items.ranked ? 1 : 0;
  }
  EXPECT_EQ(ranked, 4);  // a pair, and three rankings of which two have ties
}

}  // namespace
}  // namespace attune::train
