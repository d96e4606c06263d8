#include "attune/report/metrics_file.h"

#include <cmath>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/core/error.h"
#include "attune/core/file.h"

namespace attune::report {
namespace {

std::filesystem::path fresh_metrics(const std::string& name) {
  const auto path = std::filesystem::path(testing::TempDir()) / ("report_metrics_" + name);
  std::filesystem::remove_all(path);
  return path;
}

void write_steps(const std::filesystem::path& path, int64_t count) {
  MetricsFile file(path, kKeepNothing);
  for (int64_t step = 1; step <= count; ++step) {
    file.write(StepRow{.step = step, .loss = 0.5});
  }
}

std::vector<int64_t> steps_in(const std::filesystem::path& path) {
  std::vector<int64_t> steps;
  for (const StepRow& row : read_metrics(path).steps) {
    steps.push_back(row.step);
  }
  return steps;
}

TEST(MetricsFile, RowsComeBackBitForBit) {
  const auto path = fresh_metrics("round_trip");
  const StepRow step{.step = 3,
                     .loss = 0.1 + 0.2,
                     .accuracy = 5.0 / 7,
                     .margin = -1e-17,
                     .grad_norm = 11,
                     .lr = 5e-6,
                     .chosen_reward = 0.13,
                     .rejected_reward = -0.17,
                     .chosen_logps = -190.5,
                     .rejected_logps = -230.25,
                     .tokens_per_s = 1900,
                     .seconds = 23.5,
                     .epoch = 0.29,
                     .tokens = 31,
                     .comparisons = 37};
  const EvalRow eval{.step = 3, .loss = 0.41, .accuracy = 0.43, .comparisons = 47};
  {
    MetricsFile file(path, kKeepNothing);
    file.write(step);
    file.write(eval);
  }
  const Metrics metrics = read_metrics(path);
  ASSERT_EQ(metrics.steps.size(), 1U);
  ASSERT_EQ(metrics.evals.size(), 1U);
  StepRow::each(metrics.steps[0], [&](std::string_view key, auto got) {
    StepRow::each(step, [&](std::string_view other, auto expected) {
      if (key == other) {
        EXPECT_EQ(static_cast<double>(got), static_cast<double>(expected)) << key;
      }
    });
  });
  EXPECT_EQ(metrics.evals[0].step, 3);
  EXPECT_EQ(metrics.evals[0].loss, 0.41);
  EXPECT_EQ(metrics.evals[0].comparisons, 47);
  EXPECT_TRUE(std::isnan(metrics.evals[0].margin));
}

TEST(MetricsFile, KeysAreThoseOfTrl) {
  const auto path = fresh_metrics("keys");
  MetricsFile file(path, kKeepNothing);
  file.write(StepRow{.step = 2, .loss = 0.5, .accuracy = 0.75, .lr = 0.25});
  file.write(EvalRow{.step = 2, .loss = 0.5, .accuracy = 0.75, .comparisons = 13});
  EXPECT_EQ(read_file(path),
            R"({"step":2,"epoch":null,"loss":0.5,"rewards/accuracies":0.75,"rewards/margins":null,)"
            R"("rewards/chosen":null,"rewards/rejected":null,"logps/chosen":null,)"
            R"("logps/rejected":null,"grad_norm":null,"learning_rate":0.25,"tokens":0,)"
            R"("comparisons":0,"tokens_per_second":null,"seconds":null})"
            "\n"
            R"({"step":2,"epoch":null,"eval_loss":0.5,"eval_rewards/accuracies":0.75,)"
            R"("eval_rewards/margins":null,"eval_rewards/chosen":null,)"
            R"("eval_rewards/rejected":null,"eval_logps/chosen":null,"eval_logps/rejected":null,)"
            R"("eval_comparisons":13,"seconds":null})"
            "\n");
}

TEST(MetricsFile, ValuesThatAreNotFiniteAreWrittenAsNull) {
  const auto path = fresh_metrics("null");
  MetricsFile file(path, kKeepNothing);
  file.write(StepRow{.step = 1, .loss = std::nan(""), .margin = INFINITY, .lr = -INFINITY});
  EXPECT_THAT(read_file(path), testing::Not(testing::HasSubstr("nan")));
  EXPECT_THAT(read_file(path), testing::Not(testing::HasSubstr("inf")));
  EXPECT_TRUE(std::isnan(read_metrics(path).steps.at(0).margin));
}

TEST(MetricsFile, ATornLastLineIsIgnored) {
  const auto path = fresh_metrics("torn");
  write_steps(path, 3);
  const std::string whole = read_file(path);
  for (size_t cut = 1; cut < 40; ++cut) {
    write_file(path, whole.substr(0, whole.size() - cut));
    EXPECT_THAT(steps_in(path), testing::ElementsAre(1, 2)) << cut;
  }
}

TEST(MetricsFile, AResumeDropsLaterStepsAndTheTornLineAndGoesOn) {
  const auto path = fresh_metrics("resume");
  write_steps(path, 7);
  write_file(path, read_file(path) + R"({"step":8,"lo)");
  {
    MetricsFile file(path, 5);
    file.write(StepRow{.step = 6, .loss = 0.125});
  }
  EXPECT_THAT(steps_in(path), testing::ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(read_metrics(path).steps.back().loss, 0.125);
}

TEST(MetricsFile, ANewRunStartsEmptyEvenOverABrokenFile) {
  const auto path = fresh_metrics("anew");
  write_file(path, "not json\nat all\n");
  MetricsFile file(path, kKeepNothing);
  EXPECT_EQ(read_file(path), "");
}

TEST(MetricsFile, ABrokenLineBeforeTheLastIsNamed) {
  const auto path = fresh_metrics("broken");
  for (const char* line :
       {"{\"step\":", "[1]", "{\"loss\":1}", "{\"step\":1e300}", "{\"step\":\"a\"}"}) {
    write_file(path, std::string("{\"step\":1,\"loss\":1}\n") + line + "\n{\"step\":3}\n");
    for (const bool resume : {false, true}) {
      try {
        resume ? (void)MetricsFile(path, 9) : (void)read_metrics(path);
        ADD_FAILURE() << "no error for " << line;
      } catch (const Error& e) {
        EXPECT_THAT(e.what(), testing::HasSubstr("broken:2: not a line of metrics"));
      }
    }
  }
}

TEST(MetricsFile, KeepsWhatTheTermsSayOfThemselves) {
  const auto path = fresh_metrics("terms");
  MetricsFile(path, -1).write(
      StepRow{.step = 3, .loss = 0.5, .terms = {{"kto.kl", 0.25}, {"bco.shift", -1.5}}});
  EXPECT_THAT(read_file(path), testing::HasSubstr("\"terms/kto.kl\":0.25"));
  const Metrics metrics = read_metrics(path);
  ASSERT_EQ(metrics.steps.size(), 1U);
  EXPECT_EQ(metrics.steps[0].terms,
            (std::map<std::string, double>{{"bco.shift", -1.5}, {"kto.kl", 0.25}}));
}

}  // namespace
}  // namespace attune::report
