#include "attune/config/fields.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/config/describe.h"
#include "attune/config/resolve.h"
#include "attune/config/scalar.h"
#include "attune/core/random.h"
#include "attune/objective/dpo.h"

#include "tests/config/message.h"

namespace attune::config {
namespace {

using objective::DpoOptions;
using testing::ElementsAre;

struct EveryType {
  bool yes = false;
  int64_t count = 3;
  double rate = 0.5;
  std::string name = "x";
  std::vector<std::string> list = {"p"};
  std::map<std::string, std::string> map;
  std::optional<bool> maybe_yes;
  std::optional<int64_t> maybe_count;
  std::optional<double> maybe_rate;
  std::optional<std::string> maybe_name;

  template <class Visitor>
  void fields(Visitor&& field) {
    field("yes", yes, {.help = "a switch"});
    field("count", count, {.help = "how many", .at_least = 2, .at_most = 11});
    field("rate", rate, {.help = "how fast", .above = 0, .below = 1, .may_change = true});
    field("name", name, {.help = "what it is called"});
    field("list", list, {.help = "several"});
    field("map", map, {.help = "named"});
    field("maybe_yes", maybe_yes, {});
    field("maybe_count", maybe_count, {.at_least = 1});
    field("maybe_rate", maybe_rate, {});
    field("maybe_name", maybe_name, {});
  }

  bool operator==(const EveryType&) const = default;
};

EveryType read_text(const std::string& text) {
  return read_fields<EveryType>(parse_run_file(text, "f"), "every");
}

std::string read_message(const std::string& text) {
  return message_of([&] { read_text(text); });
}

TEST(ReadFields, FillsEveryTypeAndKeepsDefaults) {
  const EveryType got = read_text(
      "yes: true\nrate: 2.5e-1\nname: no\nlist: [a, 'b c']\nmap: {k: v}\nmaybe_count: 7\n");
  EXPECT_TRUE(got.yes);
  EXPECT_EQ(got.count, 3);
  EXPECT_EQ(got.rate, 0.25);
  EXPECT_EQ(got.name, "no");
  EXPECT_THAT(got.list, ElementsAre("a", "b c"));
  EXPECT_EQ(got.map.at("k"), "v");
  EXPECT_EQ(got.maybe_count, 7);
  EXPECT_EQ(read_text("maybe_count: auto\nmaybe_rate:\n"), EveryType());
}

TEST(ReadFields, OneTextIsAListOfOne) {
  EXPECT_THAT(read_text("list: a,b\n").list, ElementsAre("a,b"));
}

TEST(ReadFields, AListFromAFlagIsCutAtCommas) {
  Section root = parse_run_file("", "f");
  set(root, "list", "a,b", "--every.list");
  EXPECT_THAT(read_fields<EveryType>(root, "every").list, ElementsAre("a", "b"));
  set(root, "list", "", "--every.list");
  EXPECT_TRUE(read_fields<EveryType>(root, "every").list.empty());
}

TEST(ReadFields, AListFromAFlagMayStandInBrackets) {
  const auto list_of = [](std::string_view flag) {
    Section root = parse_run_file("", "f");
    set(root, "list", flag, "--every.list");
    return read_fields<EveryType>(root, "every").list;
  };
  EXPECT_THAT(list_of("[a,b]"), ElementsAre("a", "b"));
  EXPECT_THAT(list_of("[a, \"b c\" , 'd']"), ElementsAre("a", "b c", "d"));
  EXPECT_THAT(list_of("[]"), ElementsAre());
  EXPECT_THAT(list_of("[a"), ElementsAre("[a"));
  EXPECT_THAT(list_of("a, b"), ElementsAre("a", " b"));
}

TEST(ReadFields, AnUnknownKeyNamesTheNearest) {
  const Section root = parse_run_file("betta: 0.2\n", "run.yaml");
  EXPECT_EQ(message_of([&] { read_fields<DpoOptions>(root, "dpo"); }),
            "run.yaml:1:1: no option dpo.betta. Did you mean \"beta\"?");
}

TEST(ReadFields, ABoundNamesPlaceOptionAndValue) {
  const Section root = parse_run_file("label_smoothing: 0.5\n", "run.yaml");
  EXPECT_EQ(message_of([&] { read_fields<DpoOptions>(root, "dpo"); }),
            "run.yaml:1:1: dpo.label_smoothing must be < 0.5, got 0.5");
  EXPECT_EQ(read_message("count: 1\n"), "f:1:1: every.count must be >= 2, got 1");
  EXPECT_EQ(read_message("count: 13\n"), "f:1:1: every.count must be <= 11, got 13");
  EXPECT_EQ(read_message("rate: 0\n"), "f:1:1: every.rate must be > 0, got 0");
  EXPECT_EQ(read_message("maybe_count: 0\n"), "f:1:1: every.maybe_count must be >= 1, got 0");
}

TEST(ReadFields, AWrongTypeSaysWhatItGot) {
  EXPECT_EQ(read_message("yes: no\n"), "f:1:1: every.yes must be true or false, got no");
  EXPECT_EQ(read_message("count: 8.0\n"), "f:1:1: every.count must be a whole number, got 8.0");
  EXPECT_EQ(read_message("count: 9223372036854775808\n"),
            "f:1:1: every.count must be a whole number, got 9223372036854775808");
  EXPECT_EQ(read_message("rate: fast\n"), "f:1:1: every.rate must be a number, got fast");
  EXPECT_EQ(read_message("rate: nan\n"), "f:1:1: every.rate must be a number, got nan");
  EXPECT_EQ(read_message("rate: [0.1]\n"), "f:1:1: every.rate must be a number, got a list");
  EXPECT_EQ(read_message("name: {a: b}\n"), "f:1:1: every.name must be a text, got a mapping");
  EXPECT_EQ(read_message("list: {a: b}\n"),
            "f:1:1: every.list must be a list of texts, got a mapping. Write [first, second]");
  EXPECT_EQ(read_message("list: [[a]]\n"),
            "f:1:8: every.list must be a list of texts, got a list in it");
  EXPECT_EQ(read_message("map: a\n"),
            "f:1:1: every.map must be a mapping, got a single value. Write {name: text}");
  EXPECT_EQ(read_message("count:\n"), "f:1:1: every.count has no value; without the line it is 3");
}

TEST(CheckFields, JudgesOptionsFromCodeWithoutAPlace) {
  EXPECT_EQ(message_of([] { check_fields(DpoOptions{.beta = -1}, "dpo"); }),
            "dpo.beta must be > 0, got -1");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(message_of([&] { check_fields(DpoOptions{.beta = nan}, "dpo"); }),
            "dpo.beta must be a finite number, got nan");
  EXPECT_EQ(message_of([] { check_fields(DpoOptions{}, "dpo"); }), "no error");
}

// 2,000 random structs with texts of every ASCII character and some beyond.
TEST(ToYaml, ReadsBackExactly) {
  RandomStream random(stream_key(11, "round trip"));
  const auto text = [&] {
    std::string out;
    const uint64_t length = random.below(9);
    for (uint64_t i = 0; i < length; ++i) {
      const uint64_t pick = random.below(130);
      out += pick < 127 ? std::string(1, static_cast<char>(pick + 1)) : "\u00e9";
    }
    return out;
  };
  for (int round = 0; round < 2000; ++round) {
    EveryType want;
    want.yes = random.below(2) == 1;
    want.count = static_cast<int64_t>(2 + random.below(10));
    want.rate = random.uniform() * 0.999 + 1e-9;
    want.name = text();
    want.list = {text(), text()};
    want.map = {{"k" + text(), text()}};
    want.maybe_rate = random.normal() * 1e-300;
    if (random.below(2) == 1) {
      want.maybe_name = text();
      want.maybe_count = static_cast<int64_t>(1 + random.below(1'000'000));
    }
    const std::string yaml = to_yaml(want);
    SCOPED_TRACE(yaml);
    EXPECT_EQ(read_text(yaml), want);
  }
}

TEST(ToYaml, WritesNumbersShort) {
  EXPECT_EQ(to_yaml(DpoOptions{.beta = 0.1}), "beta: 0.1\nlabel_smoothing: 0\n");
}

TEST(Compare, ListsWhatDiffersFromTheDefaults) {
  EveryType options;
  options.count = 5;
  options.rate = 0.75;
  const std::vector<Difference> all = differs(options, "every");
  ASSERT_EQ(all.size(), 2);
  EXPECT_EQ(all[0].key, "every.count");
  EXPECT_EQ(all[0].before, "3");
  EXPECT_EQ(all[0].after, "5");
  EXPECT_EQ(all[1].key, "every.rate");
}

TEST(Compare, AResumePassesOverWhatMayChange) {
  EveryType options;
  options.count = 5;
  options.rate = 0.75;
  const std::vector<Difference> fixed = resume_difference(EveryType(), options, "every");
  ASSERT_EQ(fixed.size(), 1);
  EXPECT_EQ(fixed[0].key, "every.count");
}

TEST(Describe, HelpShowsFlagDefaultAndBounds) {
  DpoOptions options;
  EXPECT_EQ(help(list_fields(options), "--objective."),
            "  --objective.beta=0.1   (> 0)\n"
            "      pull towards the reference; papers use 0.01 to 0.5\n"
            "  --objective.label_smoothing=0   (>= 0 and < 0.5)\n"
            "      chance that a label is flipped\n");
}

TEST(Describe, MarkdownIsOneRowAField) {
  DpoOptions options;
  EXPECT_EQ(markdown(list_fields(options)),
            "| option | default | type | allowed | what it does |\n"
            "|---|---|---|---|---|\n"
            "| `beta` | `0.1` | number | > 0 | pull towards the reference; papers use 0.01 to 0.5 "
            "|\n"
            "| `label_smoothing` | `0` | number | >= 0 and < 0.5 | chance that a label is flipped "
            "|\n");
}

TEST(Scalar, NumbersAreStrict) {
  EXPECT_EQ(parse_whole("+7"), 7);
  EXPECT_EQ(parse_whole("-7"), -7);
  for (const char* text : {"", "+", "+-7", "7 ", " 7", "0x10", "1_000", "1e3", "7.0"}) {
    EXPECT_FALSE(parse_whole(text)) << text;
  }
  EXPECT_EQ(parse_number("1e-5"), 1e-5);
  EXPECT_EQ(parse_number(".5"), 0.5);
  for (const char* text : {"", "inf", "nan", "1e999", "1,5", "0.1.2"}) {
    EXPECT_FALSE(parse_number(text)) << text;
  }
}

TEST(Scalar, AMessageShowsNoControlCharactersAndNoNovels) {
  EXPECT_EQ(quoted_for_message("a\x1b[31m"), "a.[31m");
  EXPECT_EQ(quoted_for_message(""), "\"\"");
  EXPECT_EQ(quoted_for_message(std::string(100, 'x')), std::string(60, 'x') + "...");
}

}  // namespace
}  // namespace attune::config
