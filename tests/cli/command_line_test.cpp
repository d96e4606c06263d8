#include "attune/cli/command_line.h"

#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/cli/run_line.h"
#include "attune/generate/options.h"

#include "tests/config/message.h"

namespace attune::cli {
namespace {

using testing::ElementsAre;

constexpr Usage kUsage{
    .name = "generate", .synopsis = "MODEL [PROMPT]", .about = "Writes.", .least = 1, .most = 2};

struct Got {
  generate::GenerateOptions options;
  std::vector<std::string> positionals;
};

Got parse(const std::vector<std::string_view>& arguments) {
  Got got;
  CommandLine line(kUsage);
  line.add(got.options);
  EXPECT_TRUE(line.parse(arguments));
  got.positionals = line.positionals();
  return got;
}

std::string parse_message(const std::vector<std::string_view>& arguments) {
  return message_of([&] { parse(arguments); });
}

TEST(CommandLine, FlagsAndPositionalsMix) {
  const Got got = parse({"--top_k=5", "model", "--max-new-tokens", "7", "a prompt"});
  EXPECT_EQ(got.options.top_k, 5);
  EXPECT_EQ(got.options.max_new_tokens, 7);
  EXPECT_THAT(got.positionals, ElementsAre("model", "a prompt"));
}

TEST(CommandLine, AfterTwoHyphensEverythingIsPositional) {
  EXPECT_THAT(parse({"model", "--", "--top_k=5"}).positionals, ElementsAre("model", "--top_k=5"));
  EXPECT_THAT(parse({"model", "-"}).positionals, ElementsAre("model", "-"));
}

TEST(CommandLine, AnUnknownFlagNamesTheNearest) {
  EXPECT_EQ(parse_message({"model", "--tempreature=1"}),
            "attune generate has no flag --tempreature. Did you mean --temperature?");
  EXPECT_EQ(parse_message({"model", "-t"}), "no flag -t; flags begin with two hyphens");
}

TEST(CommandLine, ABadValueNamesTheFlag) {
  EXPECT_EQ(parse_message({"model", "--top_p=1.5"}), "--top_p: top_p must be <= 1, got 1.5");
  EXPECT_EQ(parse_message({"model", "--top_p"}), "--top_p needs a value: --top_p=...");
  EXPECT_EQ(parse_message({"model", "--top_p", "--top_k=1"}), "--top_p needs a value: --top_p=...");
  EXPECT_EQ(parse_message({"model", "--log=txt"}),
            "--log must be one of text, json, quiet, got txt. Did you mean \"text\"?");
}

TEST(CommandLine, TheNumberOfPositionalsIsChecked) {
  EXPECT_EQ(parse_message({}), "attune generate needs MODEL [PROMPT]. Try: attune generate --help");
  EXPECT_EQ(parse_message({"a", "b", "c"}),
            "attune generate takes MODEL [PROMPT]; \"c\" is too many");
}

TEST(RunLine, FlagsAloneMakeARun) {
  const std::vector<std::string_view> arguments{
      "--train.report", "--train.output", "o", "--optim.lr=1e-6", "--train.checkpointing"};
  const auto line = read_run_line(kTrainUsage, arguments);
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->run.train.output, "o");
  EXPECT_EQ(line->run.optim.lr, 1e-6);
  EXPECT_TRUE(line->run.train.checkpointing);
}

TEST(RunLine, AnUnknownFlagIsToldHowOptionsLook) {
  const std::vector<std::string_view> arguments{"--beta=1"};
  EXPECT_EQ(message_of([&] { read_run_line(kTrainUsage, arguments); }),
            "attune train has no flag --beta. Options of the run file are --section.key=value");
}

}  // namespace
}  // namespace attune::cli
