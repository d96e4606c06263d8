#include "attune/config/section.h"

#include <string>

#include <gtest/gtest.h>

#include "attune/core/random.h"

#include "tests/config/message.h"

namespace attune::config {
namespace {

std::string parse_message(const std::string& text) {
  return message_of([&] { parse_run_file(text, "run.yaml"); });
}

TEST(Section, EveryValueKnowsItsPlace) {
  const Section root = parse_run_file("optim:\n  lr: 1e-5\nlist:\n  - a\n  - {b: c}\n", "run.yaml");
  EXPECT_EQ(root.entries[0].where, "run.yaml:1:1");
  const Section& optim = *root.find("optim");
  EXPECT_EQ(optim.entries[0].where, "run.yaml:2:3");
  EXPECT_EQ(optim.find("lr")->where, "run.yaml:2:7");
  EXPECT_EQ(optim.find("lr")->text, "1e-5");
  const Section& list = *root.find("list");
  EXPECT_EQ(list.items[0].where, "run.yaml:4:5");
  EXPECT_EQ(list.items[1].entries[0].where, "run.yaml:5:6");
}

TEST(Section, TextsStayAsWritten) {
  const Section root = parse_run_file("a: no\nb: 0x10\nc: \"x\\ty\"\nd: 1_000\ne:\n", "f");
  EXPECT_EQ(root.find("a")->text, "no");
  EXPECT_EQ(root.find("b")->text, "0x10");
  EXPECT_EQ(root.find("c")->text, "x\ty");
  EXPECT_EQ(root.find("d")->text, "1_000");
  EXPECT_EQ(root.find("e")->kind, Section::Kind::kNothing);
  EXPECT_EQ(root.find("f"), nullptr);
}

TEST(Section, AnEmptyTextIsAnEmptyMapping) {
  for (const char* text : {"", "# only a comment\n", "---\n", "\n\n"}) {
    const Section root = parse_run_file(text, "f");
    EXPECT_EQ(root.kind, Section::Kind::kMapping) << text;
    EXPECT_TRUE(root.entries.empty()) << text;
  }
}

TEST(Section, AKeyWrittenTwiceIsRefusedWithItsFullName) {
  EXPECT_EQ(parse_message("optim:\n  lr: 1\n  lr: 2\n"), "run.yaml:3:3: optim.lr is written twice");
  EXPECT_EQ(parse_message("a: 1\na: 2\n"), "run.yaml:2:1: a is written twice");
  EXPECT_EQ(parse_message("a: {b: {c: 1, c: 1}}\n"), "run.yaml:1:15: a.b.c is written twice");
}

TEST(Section, InvalidYamlNamesLineAndColumn) {
  EXPECT_EQ(parse_message("a: 1\nb: [1, 2\nc: 3\n").substr(0, 11), "run.yaml:3:");
  EXPECT_EQ(parse_message("a: \"open \\\" \nb: 1\n"),
            "run.yaml:1:4: invalid YAML: the quote that opens here is never closed");
  EXPECT_EQ(parse_message("a: 'it''s'\nb: \"\\\"\"\n"), "no error");
  EXPECT_NE(parse_message("a:\n\tb: 1\n").find("invalid YAML"), std::string::npos);
}

TEST(Section, WhatIsNoMappingIsRefused) {
  EXPECT_EQ(parse_message("- a\n- b\n"),
            "run.yaml:1:1: expected `section:` lines at the top, got a list");
  EXPECT_EQ(parse_message("hello\n"),
            "run.yaml:1:1: expected `section:` lines at the top, got a single text");
  EXPECT_EQ(parse_message("[a]: 1\n"), "run.yaml:1:1: a key must be a text");
  EXPECT_EQ(parse_message("a: 1\n---\nb: 2\n"),
            "run.yaml: a second document begins; a run file is one");
  EXPECT_EQ(parse_message(std::string("a: \0b", 5)),
            "run.yaml: byte 3 is NUL; a run file is a text");
}

TEST(Section, AliasesRepeatTheirValue) {
  const Section root = parse_run_file("a: &x [p, q]\nb: *x\n", "f");
  EXPECT_EQ(root.find("b")->items[1].text, "q");
}

// Nine levels of nine: 9^9 = 387,420,489 values from 300 bytes.
TEST(Section, ABillionLaughsAreRefused) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int level = 1; level < 9; ++level) {
    text += "a" + std::to_string(level) + ": &a" + std::to_string(level) + " [";
    for (int i = 0; i < 9; ++i) {
      text += (i > 0 ? ", *a" : "*a") + std::to_string(level - 1);
    }
    text += "]\n";
  }
  EXPECT_NE(parse_message(text).find("aliases repeat over 1000000 values"), std::string::npos);
  EXPECT_NE(parse_message("a: &a [*a]\n").find("alias"), std::string::npos);
}

TEST(Section, DeepNestingIsAnErrorAndNoCrash) {
  const std::string text = parse_message("a: " + std::string(100'000, '['));
  EXPECT_EQ(text.substr(0, 9), "run.yaml:");
}

TEST(Section, RandomTextsGiveATreeOrAnError) {
  constexpr std::string_view kAlphabet = "ab:-[]{},&*!|>'\"%@`# \n\t\\?~<=0.";
  RandomStream random(stream_key(7, "yaml"));
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    const uint64_t length = random.below(40);
    for (uint64_t i = 0; i < length; ++i) {
      text += kAlphabet[random.below(kAlphabet.size())];
    }
    SCOPED_TRACE(text);
    const std::string message = parse_message(text);
    EXPECT_TRUE(message == "no error" || message.starts_with("run.yaml:")) << message;
  }
}

TEST(Set, ReplacesAndMakesValues) {
  Section root = parse_run_file("optim:\n  lr: 1\n", "f");
  set(root, "optim.lr", "2", "--optim.lr");
  set(root, "data.columns.prompt", "question", "--data.columns.prompt");
  EXPECT_EQ(root.find("optim")->find("lr")->text, "2");
  EXPECT_EQ(root.find("optim")->entries[0].where, "--optim.lr");
  EXPECT_EQ(root.find("data")->find("columns")->find("prompt")->text, "question");
}

TEST(Set, GoesThroughTheSingleItemOfAListOrANumber) {
  Section root = parse_run_file("one: [{a: 1}]\ntwo: [{a: 1}, {a: 2}]\n", "f");
  set(root, "one.a", "3", "--one.a");
  set(root, "two.1.a", "5", "--two.1.a");
  EXPECT_EQ(root.find("one")->items[0].find("a")->text, "3");
  EXPECT_EQ(root.find("two")->items[1].find("a")->text, "5");
  EXPECT_EQ(message_of([&] { set(root, "two.a", "5", "--two.a"); }),
            "--two.a: the list has 2 items; put the number of one into the key, counted from 0");
  EXPECT_EQ(message_of([&] { set(root, "two.2.a", "5", "--two.2.a"); }),
            "--two.2.a: the list has 2 item(s), counted from 0");
  EXPECT_EQ(message_of([&] { set(root, "one.a.b", "5", "--one.a.b"); }),
            "--one.a.b: --one.a holds a single value");
}

}  // namespace
}  // namespace attune::config
