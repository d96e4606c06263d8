#include "attune/report/report.h"

#include <cmath>
#include <filesystem>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/core/file.h"
#include "attune/report/findings.h"

namespace attune::report {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A run in which every part of the page has something to show.
RunReport full_run(int64_t num_steps) {
  RunReport run;
  run.title = "a run";
  run.version = "1.2.3";
  run.command = "attune train run.yaml";
  run.status = "finished";
  for (int64_t i = 1; i <= num_steps; ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(num_steps);
    const double noise = std::sin(static_cast<double>(i) * 12.9898) * 0.31;
    run.steps.push_back({.step = i,
                         .loss = 0.693 - 0.5 * t + noise,
                         .accuracy = 0.5 + 0.3 * t,
                         .margin = 2 * t + noise,
                         .grad_norm = 3 + noise,
                         .lr = 5e-6 * (1 - t),
                         .chosen_reward = t + noise,
                         .rejected_reward = -t - noise,
                         .chosen_logps = -140 - 12 * t + noise,
                         .rejected_logps = -170 - 30 * t + noise,
                         .tokens_per_s = 1900 + 100 * noise,
                         .seconds = 2.0 * static_cast<double>(i),
                         .epoch = 3 * t,
                         .tokens = 700 * i,
                         .comparisons = 16 * i});
    if (i % std::max<int64_t>(num_steps / 200, 1) == 0) {
      run.evals.push_back({.step = i,
                           .loss = 0.7 - 0.4 * t,
                           .accuracy = 0.5 + 0.3 * t,
                           .margin = t,
                           .chosen_reward = t / 2,
                           .rejected_reward = -t / 2,
                           .chosen_logps = -140 - 12 * t,
                           .rejected_logps = -170 - 30 * t,
                           .comparisons = 73});
    }
  }
  run.accuracy_before = wilson_interval(36, 74);
  run.accuracy_after = wilson_interval(67, 74);
  for (int i = 0; i < 74; ++i) {
    run.margins_before.push_back(std::sin(i) / 9);
    run.margins_after.push_back(1 + std::sin(i));
    run.chosen_rewards.push_back(std::cos(i));
    run.rejected_rewards.push_back(-1 + std::cos(3 * i));
    run.chosen_tokens.push_back(20 + i % 7);
    run.rejected_tokens.push_back(30 + i % 31);
  }
  run.samples = {{"the prompt", "old answer", "new answer", "wanted answer"}};
  run.options_changed = {{"train.steps", "1000", "120"}};
  run.data_counts = {{"rows", "372"}};
  run.machine = {{"cores", "2"}};
  run.files = {{"adapter", "out/adapter_model.safetensors"}};
  run.next_commands = {"attune chat out"};
  run.warnings = {"something"};
  run.run_yaml = "train:\n  steps: 120\n";
  return run;
}

/// What is wrong with the nesting of the page's tags; "" if nothing is.
std::string nesting_fault(std::string html) {
  const std::string doctype = "<!DOCTYPE html>";
  if (html.rfind(doctype, 0) == 0) {
    html.erase(0, doctype.size());
  }
  for (const std::string raw : {"style", "script"}) {
    const size_t begin = html.find("<" + raw + ">") + raw.size() + 2;
    html.erase(begin, html.find("</" + raw + ">") - begin);
  }
  std::vector<std::string> open;
  for (size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const size_t end = html.find('>', at);
    if (end == std::string::npos) {
      return "a tag is not closed";
    }
    const std::string tag = html.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag[0] == '/') {
      if (open.empty() || "/" + open.back() != tag) {
        return tag + " closes " + (open.empty() ? "nothing" : open.back()) + " at " +
               html.substr(at > 60 ? at - 60 : 0, 80);
      }
      open.pop_back();
    } else if (tag.back() != '/' && name != "meta") {
      open.push_back(name);
    }
  }
  return open.empty() ? "" : open.back() + " stays open";
}

/// An id that occurs twice; "" if none does.
std::string repeated_id(const std::string& html) {
  std::set<std::string> seen;
  const std::string key = " id=\"";
  for (size_t at = html.find(key); at != std::string::npos; at = html.find(key, at + 1)) {
    const size_t begin = at + key.size();
    const std::string id = html.substr(begin, html.find('"', begin) - begin);
    if (!seen.insert(id).second) {
      return id;
    }
  }
  return "";
}

TEST(Report, EveryPartShows) {
  const std::string html = to_html(full_run(60));
  for (const char* text : {"a run",
                           "attune 1.2.3",
                           "attune train run.yaml",
                           "finished",
                           "the prompt",
                           "old answer",
                           "new answer",
                           "wanted answer",
                           "train.steps",
                           "372",
                           "out/adapter_model.safetensors",
                           "attune chat out",
                           "something",
                           "train:\n  steps: 120"}) {
    EXPECT_THAT(html, HasSubstr(text));
  }
  for (const char* id : {"loss",
                         "accuracy",
                         "margin",
                         "rewards",
                         "logps",
                         "grad-norm",
                         "lr",
                         "speed",
                         "margins",
                         "held-rewards",
                         "lengths"}) {
    EXPECT_THAT(html, HasSubstr(std::string("<figure class=\"chart\" id=\"") + id + "\""));
  }
}

TEST(Report, TagsNestAndIdsAreUnique) {
  for (const int64_t num_steps : {0, 1, 2, 3, 60, 700}) {
    const std::string html = to_html(full_run(num_steps));
    EXPECT_EQ(nesting_fault(html), "") << num_steps;
    EXPECT_EQ(repeated_id(html), "") << num_steps;
  }
  EXPECT_EQ(nesting_fault(to_html({})), "");
  EXPECT_NE(nesting_fault("<style></style><script></script><b><i></b></i>"), "");
}

TEST(Report, HostileTextStaysText) {
  const std::string evil =
      "</pre></td><script>alert(1)</script><img src=x onerror=alert(1)>\"' \xff";
  RunReport run = full_run(30);
  run.title = run.version = run.command = run.status = run.run_yaml = evil;
  run.samples = {{evil, evil, evil, evil}};
  run.options_changed = {{evil, evil, evil}};
  run.data_counts = run.machine = run.files = {{evil, evil}};
  run.next_commands = run.warnings = {evil};
  const std::string html = to_html(run);
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, Not(HasSubstr("<img")));
  EXPECT_THAT(html, Not(HasSubstr("\xff")));
  EXPECT_EQ(html.find("<script"), html.rfind("<script"));
  EXPECT_EQ(nesting_fault(html), "");
}

TEST(Report, NothingIsLoadedFromElsewhere) {
  const std::string html = to_html(full_run(60));
  for (const char* load : {"http://", "https://", "src=", "url(", "@import", "<link", "fetch("}) {
    EXPECT_THAT(html, Not(HasSubstr(load)));
  }
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
}

TEST(Report, EmptyPartsVanish) {
  const std::string empty = to_html({.title = "nothing"});
  EXPECT_THAT(empty, HasSubstr("No step was made yet."));
  for (const char* part : {"<figure", "<nav", "<section id=", "class=\"cards\"", "<aside"}) {
    EXPECT_THAT(empty, Not(HasSubstr(part)));
  }
  RunReport run = full_run(60);
  run.evals.clear();
  run.samples.clear();
  run.margins_before.clear();
  run.margins_after.clear();
  const std::string html = to_html(run);
  EXPECT_THAT(html, Not(HasSubstr("id=\"answers\"")));
  EXPECT_THAT(html, Not(HasSubstr("id=\"margins\"")));
  EXPECT_THAT(html, Not(HasSubstr("held out</li>")));
  EXPECT_THAT(html, HasSubstr("id=\"loss\""));
}

TEST(Report, FiguresThatNobodyMeasuredHaveNoChart) {
  RunReport run;
  for (int64_t step = 1; step <= 30; ++step) {
    run.steps.push_back({.step = step, .loss = 1.0 / static_cast<double>(step)});
  }
  const std::string html = to_html(run);
  EXPECT_THAT(html, HasSubstr("id=\"loss\""));
  EXPECT_THAT(html, Not(HasSubstr("id=\"grad-norm\"")));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
}

TEST(Report, WildValuesLeaveNoNanInTheDrawing) {
  RunReport run = full_run(40);
  run.steps[3].loss = INFINITY;
  run.steps[5].loss = std::nan("");
  run.steps[7].loss = 1.7e308;
  run.steps[8].loss = -1.7e308;
  run.margins_after = {1e308, -1e308, INFINITY, std::nan(""), 3};
  const std::string html = to_html(run);
  for (const std::string before : {" ", ",", "M", "V", "H", "\"", "-"}) {
    EXPECT_THAT(html, Not(HasSubstr(before + "nan")));
    EXPECT_THAT(html, Not(HasSubstr(before + "inf\"")));
    EXPECT_THAT(html, Not(HasSubstr(before + "inf,")));
    EXPECT_THAT(html, Not(HasSubstr(before + "inf ")));
  }
}

TEST(Report, OneStepHasFiguresButNoCurve) {
  RunReport run;
  run.steps = {{.step = 1, .loss = 0.625}};
  EXPECT_THAT(to_html(run), HasSubstr("<b>0.6250 <small>nats</small></b>"));
  EXPECT_THAT(to_html(run), Not(HasSubstr("<figure")));
}

TEST(Report, EqualMarginsBeforeTrainingAreALevelNotABar) {
  RunReport run = full_run(20);
  run.margins_before.assign(74, 0.0);
  const std::string html = to_html(run);
  EXPECT_THAT(html, HasSubstr("before: all 0</text>"));
  EXPECT_THAT(html, Not(HasSubstr("bars c-before")));
  run.margins_after.assign(74, 0.0);  // nothing varies: bars again
  EXPECT_THAT(to_html(run), HasSubstr("bars c-before"));
}

TEST(Report, LongRunsStaySmall) {
  EXPECT_LT(to_html(full_run(1000)).size(), 300'000U);
  EXPECT_LT(to_html(full_run(10'000)).size(), 300'000U);
}

TEST(Report, TheFileHoldsThePage) {
  const auto path = std::filesystem::path(testing::TempDir()) / "report_page.html";
  const RunReport run = full_run(5);
  write_report(path, run);
  EXPECT_EQ(read_file(path), to_html(run));
}

TEST(Verdict, ClearRiseOverlapAndFall) {
  RunReport run;
  run.accuracy_before = wilson_interval(36, 74);
  run.accuracy_after = wilson_interval(67, 74);
  EXPECT_EQ(verdict_of(run).tone, "good");
  EXPECT_THAT(verdict_of(run).html,
              HasSubstr("rose from <strong>48.6\u00a0%</strong> <span>(95\u00a0% interval "
                        "37.6\u00a0% to 59.8\u00a0%)</span> to <strong>90.5\u00a0%</strong>"));
  run.accuracy_after = wilson_interval(40, 74);
  EXPECT_EQ(verdict_of(run).tone, "flat");
  EXPECT_THAT(verdict_of(run).html, HasSubstr("The intervals overlap"));
  run.accuracy_after = wilson_interval(5, 74);
  EXPECT_EQ(verdict_of(run).tone, "bad");
  EXPECT_THAT(verdict_of(run).html, HasSubstr("fell from"));
}

TEST(Verdict, WithoutHeldOutPairsItSaysSo) {
  RunReport run = full_run(40);
  run.evals.clear();
  run.accuracy_before.reset();
  run.accuracy_after.reset();
  EXPECT_THAT(verdict_of(run).html, HasSubstr("Nothing was held out"));
}

TEST(DisplacementNote, ChosenThatSinkWhileAccuracyRisesAreNamed) {
  RunReport run = full_run(40);
  // Held out, the chosen fall from -140.3 (step 1 of 40) to -152: by 11.7 nats.
  EXPECT_THAT(displacement_note(run), HasSubstr("less likely by 11.70 nats (held out)"));
  EXPECT_THAT(displacement_note(run), HasSubstr("likelihood displacement"));
  for (EvalRow& row : run.evals) {
    row.chosen_logps = -140;
  }
  EXPECT_THAT(displacement_note(run), Not(HasSubstr("displacement")));
  EXPECT_EQ(displacement_note({}), "");
}

}  // namespace
}  // namespace attune::report
