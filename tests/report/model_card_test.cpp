#include "attune/report/model_card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::report {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(ModelCard, AnAdapterOfAHubModelHasFullFrontMatter) {
  const std::string text = to_markdown({.name = "short answers",
                                        .base_model = "HuggingFaceTB/SmolLM2-135M-Instruct",
                                        .folder = "runs/a b"});
  EXPECT_THAT(text,
              StartsWith("---\n"
                         "base_model: HuggingFaceTB/SmolLM2-135M-Instruct\n"
                         "base_model_relation: adapter\n"
                         "library_name: peft\n"
                         "pipeline_tag: text-generation\n"
                         "tags:\n- attune\n- preference-tuning\n- dpo\n- lora\n"
                         "---\n\n# short answers\n"));
  EXPECT_THAT(text,
              HasSubstr("attune chat HuggingFaceTB/SmolLM2-135M-Instruct --adapter='runs/a b'\n"));
  EXPECT_THAT(text, HasSubstr("PeftModel.from_pretrained(model, \"runs/a b\")"));
  EXPECT_THAT(text, HasSubstr("@inproceedings{rafailov2023direct"));
  EXPECT_THAT(text, Not(HasSubstr("## Results")));
}

TEST(ModelCard, EachTermOfTheObjectiveHasItsTagAndItsPaper) {
  const std::string text =
      to_markdown({.name = "n",
                   .base_model = "a/b",
                   .objective = {{.kind = "ipo", .paper = "2310.12036"},
                                 {.kind = "nll", .weight = 0.5, .paper = "1706.03762"}}});
  EXPECT_THAT(text, HasSubstr("- ipo\n- nll\n"));
  EXPECT_THAT(text, HasSubstr("(ipo + 0.5 nll)"));
  EXPECT_THAT(text, HasSubstr("- ipo: [arXiv:2310.12036](https://arxiv.org/abs/2310.12036)\n"));
  EXPECT_THAT(text, Not(HasSubstr("rafailov")));
}

TEST(ModelCard, APathIsNoHubIdAndStaysOutOfTheFrontMatter) {
  for (const char* path :
       {"/models/smol.gguf", "models/smol.gguf", "a: b/c", "a/b/c", "../b", "x"}) {
    const std::string text = to_markdown({.name = "n", .base_model = path, .adapter = false});
    EXPECT_THAT(text, StartsWith("---\nlibrary_name: transformers\n")) << path;
  }
}

TEST(ModelCard, ResultsStandBesideEachOther) {
  const std::string text = to_markdown({.name = "n",
                                        .base_model = "a/b",
                                        .accuracy_before = Interval{0.48, 0.36, 0.6},
                                        .accuracy_after = Interval{0.91, 0.8125, 0.96},
                                        .before = EvalRow{.step = 0, .loss = 0.7},
                                        .after = EvalRow{.step = 9, .loss = 0.3, .margin = 1.25}});
  EXPECT_THAT(text,
              HasSubstr("| reward accuracy (95 % interval) | 48.0 % (36.0 to 60.0 %) | "
                        "91.0 % (81.2 to 96.0 %) |\n"
                        "| loss, nats | 0.7000 | 0.3000 |\n"
                        "| reward margin, nats |  | 1.2500 |\n\n"));
}

TEST(ModelCard, TextCannotBreakOutOfItsCellOrItsFence) {
  const std::string text = to_markdown({.name = "a\n---\n<script>",
                                        .base_model = "a/b",
                                        .command = "echo ```\n# not a heading",
                                        .settings = {{"key|x", "line\nbreak"}}});
  EXPECT_THAT(text, HasSubstr("# a --- &lt;script>\n"));
  EXPECT_THAT(text, HasSubstr("````sh\necho ```\n# not a heading\n````\n"));
  EXPECT_THAT(text, HasSubstr("| key\\|x | line break |\n"));
}

}  // namespace
}  // namespace attune::report
