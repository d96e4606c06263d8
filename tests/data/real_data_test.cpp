// Files that people really have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/data/row_error.h"

#include "tests/data/support.h"

namespace attune::data {
namespace {

using testing::data_folder;
using ::testing::FieldsAre;
using ::testing::Pair;
using testing::read_all;
using ::testing::UnorderedElementsAre;

using Columns = std::map<std::string, std::string>;

struct File {
  std::string path;
  Columns columns;
  size_t groups;
  size_t completions;  ///< Of each group.
  size_t comparisons;
  bool conversational;
};

TEST(RealData, EveryFileGivesItsRows) {
  ATTUNE_NEEDS(data_folder() / "text");
  const Columns stack = {
      {"prompt", "question"}, {"chosen", "response_j"}, {"rejected", "response_k"}};
  const Columns blimp = {{"chosen", "sentence_good"}, {"rejected", "sentence_bad"}};
  const Columns evals = {{"prompt", "question"},
                         {"chosen", "answer_matching_behavior"},
                         {"rejected", "answer_not_matching_behavior"},
                         {"probability", "label_confidence"}};
  const Columns llmbar = {{"prompt", "input"},
                          {"completion_a", "output_1"},
                          {"completion_b", "output_2"},
                          {"preferred", "label"}};
  const std::vector<File> files{
      {"llama-factory/dpo_en_demo.json.gz", {}, 300, 2, 1, true},
      {"llama-factory/dpo_zh_demo.json.gz", {}, 300, 2, 1, true},
      {"llama-factory/kto_en_demo.json.gz", {}, 300, 1, 0, true},
      {"llama-factory/v1_dpo_demo.jsonl.gz", {}, 10, 2, 1, true},
      {"stack-exchange-tiny/stack_exchange_paired_tiny.json.gz", stack, 25, 2, 1, false},
      {"stack-exchange-tiny/hh_rlhf_tiny.json", {}, 1, 2, 1, true},
      {"blimp/wh_island.jsonl.gz", blimp, 1000, 2, 1, false},
      {"anthropic-evals/openness.jsonl.gz", evals, 0, 2, 1, false},
      {"llmbar/LLMBar_Natural.json.gz", llmbar, 100, 2, 1, false},
  };
  for (const File& file : files) {
    SCOPED_TRACE(file.path);
    DataOptions options;
    options.columns = file.columns;
    const auto groups = read_all((data_folder() / "text" / file.path).string(), options);
    if (file.groups > 0) {
      EXPECT_EQ(groups.size(), file.groups);
    }
    EXPECT_FALSE(groups.empty());
    for (const PreferenceGroup& group : groups) {
      EXPECT_EQ(group.completions.size(), file.completions) << group.where;
      EXPECT_EQ(group.comparisons.size(), file.comparisons) << group.where;
      EXPECT_EQ(group.conversational, file.conversational) << group.where;
    }
  }
}

TEST(RealData, PandaLmHasThreeAnnotatorsAndSomeEmptyAnswers) {
  const auto path = data_folder() / "text/pandalm/pairs.json.gz";
  ATTUNE_NEEDS(path);
  DataOptions options;
  options.columns = {{"prompt", "instruction"},
                     {"completion_a", "response1"},
                     {"completion_b", "response2"},
                     {"preferred", "annotator1, annotator2, annotator3"}};
  const auto reader = open_reader(path, options);
  size_t groups = 0;
  std::map<std::string, size_t> bad;
  for (bool more = true; more;) {
    try {
      const auto group = reader->next();
      more = group.has_value();
      if (more && groups++ == 0) {
        EXPECT_EQ(group->comparisons.size(), 3U);
        EXPECT_THAT(group->comparisons[2], FieldsAre(1, 0, 1.0, 1.0, "annotator3"));
      }
    } catch (const RowError& e) {
      ++bad[e.reason()];
    }
  }
  EXPECT_EQ(groups, 452U);
  EXPECT_THAT(bad,
              UnorderedElementsAre(Pair("\"response1\" is empty", 12),
                                   Pair("\"response2\" is empty", 13),
                                   Pair("field \"response1\" must be text or a list of turns", 2),
                                   Pair("field \"response2\" must be text or a list of turns", 1)));
}

TEST(RealData, ASentencePairSplitsAtTheWordThatDiffers) {
  const auto path = data_folder() / "text/blimp/wh_island.jsonl.gz";
  ATTUNE_NEEDS(path);
  DataOptions options;
  options.columns = {{"chosen", "sentence_good"}, {"rejected", "sentence_bad"}};
  const auto groups = read_all(path, options);
  EXPECT_EQ(groups[0].prompt, "Who have those men revealed");
  EXPECT_EQ(groups[0].completions[0].text, " they helped?");
  EXPECT_EQ(groups[0].completions[1].text, " who helped?");
}

}  // namespace
}  // namespace attune::data
