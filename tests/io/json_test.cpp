#include "attune/io/json.h"

#include "tests/io/support.h"

namespace attune::io {
namespace {

using testing::HasSubstr;

TEST(Json, ReadsAWholeFile) {
  const auto path = temp_path("a.json");
  write_file(path, R"({"a": [1, {"a": 2}], "b": null})");
  const nlohmann::json read = read_json(path);
  EXPECT_EQ(read.at("a").at(1).at("a"), 2);
  EXPECT_TRUE(read.at("b").is_null());
}

TEST(Json, AKeyTwiceInOneObjectIsRefused) {
  EXPECT_THAT(error_of([] { parse_json(R"({"b": {"a": 1, "c": 2, "a": 3}})", "x.json"); }),
              HasSubstr("x.json: the key \"a\" stands twice"));
  EXPECT_THAT(error_of([] { parse_json(R"({"a": {"b": 1}, "a": 2})", "x.json"); }),
              HasSubstr("x.json: the key \"a\" stands twice"));
  EXPECT_NO_THROW(parse_json(R"([{"a": 1}, {"a": {"a": 2}}])", "x.json"));
}

TEST(Json, WhatIsNoJsonNamesFileLineAndColumn) {
  EXPECT_THAT(error_of([] { parse_json("{\n\"a\": nul}", "x.json"); }),
              HasSubstr("x.json: expected JSON; parse error at line 2, column 9"));
  EXPECT_THAT(error_of([] { parse_json("", "x.json"); }), HasSubstr("x.json: expected JSON"));
  EXPECT_THAT(error_of([] { parse_json("{} {}", "x.json"); }), HasSubstr("x.json: expected JSON"));
  EXPECT_THAT(error_of([] { parse_json("\"\xff\"", "x.json"); }), HasSubstr("expected JSON"));
}

TEST(Json, DeepNestingIsRefusedAndALongTokenIsCut) {
  EXPECT_THAT(error_of([] { parse_json(std::string(1'000'000, '['), "x.json"); }),
              HasSubstr("at most 128 levels"));
  const std::string long_token = "\"" + std::string(1'000'000, 'a');
  EXPECT_LT(error_of([&] { parse_json(long_token, "x.json"); }).size(), 300U);
}

}  // namespace
}  // namespace attune::io
