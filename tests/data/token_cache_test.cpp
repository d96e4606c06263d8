#include "attune/data/token_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "attune/core/random.h"
#include "attune/data/cache_writer.h"
#include "attune/data/encoder.h"

#include "tests/data/support.h"

namespace attune::data {
namespace {

using ::testing::ElementsAre;
using testing::Folder;
using ::testing::HasSubstr;
using testing::message_of;
using testing::read_all;
using ::testing::SizeIs;
using testing::tiny_tokenizer;

class Listener : public Watcher {
 public:
  void progress(std::string_view, int64_t done, int64_t) override {
    rows = done;
  }
  void warn(std::string_view line) override {
    warnings.emplace_back(line);
  }
  int64_t rows = 0;
  std::vector<std::string> warnings;
};

std::string row(int i) {
  return fmt::format(
      "{{\"prompt\": \"Question {}?\", \"chosen\": \" {}\", \"rejected\": \" no\"}}\n", i, 7 * i);
}

std::string rows(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += row(i);
  }
  return text;
}

/// Memory of this process whose pages are a file's.
int64_t mapped_resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0;
  int64_t resident = 0;
  int64_t shared = 0;
  statm >> size >> resident >> shared;
  return shared * ::sysconf(_SC_PAGESIZE);
}

/// A build in a folder of its own.
struct Build {
  Folder folder;
  DataOptions options;
  std::shared_ptr<const text::Tokenizer> tokenizer = tiny_tokenizer();
  Listener listener;

  std::pair<TokenCache, BuildReport> run(std::vector<std::string> files) {
    options.cache_dir = folder.at("cache");
    return build_token_cache(options, files, *tokenizer, nullptr, listener);
  }
};

TEST(TokenCache, HoldsWhatTheEncoderGave) {
  Build build;
  const auto path = build.folder.write("x.jsonl", rows(101));
  const auto [cache, report] = build.run({path});
  const Encoder encoder(build.options, *build.tokenizer, nullptr);
  const auto groups = read_all(path);
  ASSERT_EQ(cache.size(), 101);
  EXPECT_EQ(build.listener.rows, 101);
  int64_t tokens = 0;
  for (int64_t i = 0; i < cache.size(); ++i) {
    const Encoded want = encoder.encode(groups[i]);
    const EncodedGroup got = cache.group(i);
    EXPECT_EQ(got.prompt, want.group.prompt);
    EXPECT_EQ(got.completions, want.group.completions);
    EXPECT_EQ(got.comparisons, want.group.comparisons);
    EXPECT_EQ(got.key, want.group.key);
    EXPECT_EQ(cache.content_key(i), want.group.key);
    EXPECT_EQ(cache.prompt_hash(i), want.prompt_hash);
    EXPECT_EQ(cache.num_tokens(i), got.num_tokens());
    EXPECT_EQ(cache.num_completions(i), 2);
    EXPECT_EQ(cache.num_comparisons(i), 1);
    EXPECT_EQ(cache.where(i), fmt::format("{}:{}", path, i + 1));
    tokens += got.num_tokens();
  }
  EXPECT_EQ(cache.total_tokens(), tokens);
  EXPECT_EQ(report.tokens, tokens);
  EXPECT_EQ(cache.total_comparisons(), 101);
  EXPECT_EQ(report.rows, 101);
  EXPECT_FALSE(report.from_cache);
}

TEST(TokenCache, HoldsLabelsScoresValuesAndTags) {
  Build build;
  build.options.values = {"length", "cost"};
  build.options.tag = "region";
  const auto path = build.folder.write(
      "x.jsonl",
      R"({"prompt": "A?", "completion": " a", "label": true, "cost": 3, "length": 5, "region": "n"})"
      "\n"
      R"({"prompt": "B?", "chosen": " a", "rejected": " b", "score_rejected": 0.5,)"
      R"( "cost": [7, 11], "length": [13, 17], "region": "s"})"
      "\n"
      R"({"prompt": "C?", "completions": [" a", " b", " c"], "scores": [1, 3, 2],)"
      R"( "cost": [-1, -2, -3], "length": [19, 23, 29], "region": "n"})"
      "\n"
      R"({"prompt": "D?", "completion": " no", "label": false, "cost": 0, "length": 1,)"
      R"( "region": "w"})"
      "\n");
  const auto [cache, report] = build.run({path});
  ASSERT_EQ(cache.size(), 4);
  using Floats = std::vector<float>;
  const EncodedGroup a = cache.group(0);
  const EncodedGroup b = cache.group(1);
  const EncodedGroup c = cache.group(2);
  const EncodedGroup d = cache.group(3);
  EXPECT_THAT(a.labels, ElementsAre(1));
  EXPECT_THAT(b.labels, ElementsAre());
  EXPECT_THAT(d.labels, ElementsAre(-1));
  EXPECT_EQ(a.scores, Floats());
  ASSERT_THAT(b.scores, SizeIs(2));
  EXPECT_TRUE(std::isnan(b.scores[0]));
  EXPECT_EQ(b.scores[1], 0.5F);
  EXPECT_EQ(c.scores, (Floats{1, 3, 2}));
  EXPECT_EQ(a.values, (std::map<std::string, Floats>{{"cost", {3}}, {"length", {5}}}));
  EXPECT_EQ(b.values, (std::map<std::string, Floats>{{"cost", {7, 11}}, {"length", {13, 17}}}));
  EXPECT_EQ(c.values,
            (std::map<std::string, Floats>{{"cost", {-1, -2, -3}}, {"length", {19, 23, 29}}}));
  EXPECT_THAT(cache.tags(), ElementsAre("n", "s", "w"));
  EXPECT_EQ(a.tag + b.tag + c.tag + d.tag, "nsnw");
  EXPECT_EQ(cache.tag(1), 1);
  EXPECT_EQ(cache.where(1), path + ":2");
  EXPECT_EQ(cache.items(0), (GroupItems{.desirable = true}));
  EXPECT_EQ(cache.items(3), (GroupItems{.undesirable = true}));
  const GroupItems compared{
      .compared = true, .desirable = true, .undesirable = true, .ranked = true};
  EXPECT_EQ(cache.items(1), compared);
  EXPECT_EQ(cache.items(2),
            (GroupItems{.compared = true,
                        .desirable = true,
                        .undesirable = true,
                        .ranked = true,
                        .scored = true}));
  EXPECT_EQ(cache.num_comparisons(2), 3);
}

TEST(TokenCache, HoldsTheWeightOfALabel) {
  Build build;
  const auto path = build.folder.write("x.jsonl",
                                       R"({"prompt": "A?", "completion": " a", "label": true})"
                                       "\n"
                                       R"({"prompt": "B?", "completion": " b", "label": true,)"
                                       R"( "weight": 2})"
                                       "\n"
                                       R"({"prompt": "C?", "completion": " c", "label": false,)"
                                       R"( "weight": 0, "score": 5})"
                                       "\n");
  const auto [cache, report] = build.run({path});
  EXPECT_THAT(cache.group(0).label_weights, ElementsAre());  // 1 each
  EXPECT_THAT(cache.group(1).label_weights, ElementsAre(2));
  EXPECT_THAT(cache.group(2).label_weights, ElementsAre(0));
  EXPECT_THAT(cache.group(2).labels, ElementsAre(-1));
  EXPECT_THAT(cache.group(2).scores, ElementsAre(5));
  EXPECT_EQ(cache.where(2), path + ":3");
  EXPECT_EQ(cache.items(1), (GroupItems{.desirable = true}));
  EXPECT_EQ(cache.items(2), (GroupItems{.scored = true}));  // nothing to learn from
}

TEST(TokenCache, WithoutThemThereIsNoTagAndNoNumber) {
  Build build;
  const auto [cache, report] = build.run({build.folder.write("x.jsonl", rows(3))});
  EXPECT_TRUE(cache.tags().empty());
  EXPECT_EQ(cache.tag(0), -1);
  EXPECT_TRUE(cache.group(0).scores.empty());
  EXPECT_TRUE(cache.group(0).values.empty());
  EXPECT_TRUE(cache.group(0).labels.empty());
  EXPECT_TRUE(cache.group(0).label_weights.empty());
}

TEST(TokenCache, OneOfAnotherVersionIsMadeAgain) {
  Build build;
  const auto path = build.folder.write("x.jsonl", rows(13));
  const auto cache_path = build.run({path}).first.path();
  const std::string whole = read_file(cache_path);
  std::string older = whole;
  older[kCacheName.size()] = '1';
  const size_t body = older.size() - sizeof(uint64_t);
  const uint64_t sum = Hasher().add(std::string_view(older).substr(0, body)).word();
  std::memcpy(older.data() + body, &sum, sizeof sum);
  std::ofstream(cache_path, std::ios::binary) << older;
  EXPECT_EQ(message_of([&] { TokenCache{cache_path}; }, cache_path.string()),
            ": the cache is of another version of attune");
  EXPECT_FALSE(build.run({path}).second.from_cache);
  EXPECT_EQ(read_file(cache_path), whole);
}

TEST(ItemsOf, UnsureAndTiedComparisonsGiveWhatTheyCan) {
  EncodedGroup group{.prompt = {1}, .completions = {{2}, {3}, {4}}};
  const auto with = [&group](std::vector<EncodedComparison> comparisons) {
    group.comparisons = std::move(comparisons);
    return items_of(group);
  };
  const GroupItems all{.compared = true, .desirable = true, .undesirable = true, .ranked = true};
  EXPECT_EQ(with({{0, 1, 1, 1}, {0, 2, 1, 1}, {2, 1, 1, 1}}), all);
  // A circle has no order and nobody who wins only.
  EXPECT_EQ(with({{0, 1, 1, 1}, {1, 2, 1, 1}, {2, 0, 1, 1}}), (GroupItems{.compared = true}));
  const GroupItems no_order{.compared = true, .desirable = true, .undesirable = true};
  EXPECT_EQ(with({{0, 1, 1, 1}, {0, 2, 1, 1}, {2, 1, 0.75F, 1}}), no_order);
  EXPECT_EQ(with({{0, 1, 1, 1}}), no_order);           // who is better, 2 or 1?
  EXPECT_EQ(with({{0, 1, 1, 1}, {0, 2, 1, 1}}), all);  // 1 and 2 share a rank
  EXPECT_EQ(with({{0, 1, 1, 1}, {2, 1, 1, 1}}), all);  // 0 and 2 do
  EXPECT_EQ(with({{0, 1, 0.5F, 1}}), (GroupItems{.compared = true}));
  EXPECT_EQ(with({{0, 1, 1, 0}}), GroupItems{});
  group.scores = {1, 2, NAN};
  EXPECT_FALSE(with({}).scored);
  group.scores = {1, 2, 2};
  EXPECT_TRUE(with({}).scored);
}

TEST(TokenCache, ASecondStartFindsItAndItsCounts) {
  Build build;
  build.options.on_bad_row = "skip";
  const auto path = build.folder.write("x.jsonl", rows(7) + "{}\n" + rows(2));
  const auto [first, made] = build.run({path});
  const auto [second, found] = build.run({path});
  EXPECT_TRUE(found.from_cache);
  EXPECT_EQ(second.path(), first.path());
  EXPECT_EQ(found.rows, 10);
  EXPECT_EQ(found.groups, 9);
  ASSERT_THAT(found.dropped, SizeIs(1));
  EXPECT_EQ(found.dropped[0].reason, "no preference in the row");
  EXPECT_EQ(found.dropped[0].rows, 1);
  EXPECT_THAT(found.dropped[0].examples, ElementsAre(path + ":8"));
}

TEST(TokenCache, WhateverChangesTheGroupsMakesANewOne) {
  Build build;
  const auto path = build.folder.write("x.jsonl", rows(11));
  std::set<std::filesystem::path> caches{build.run({path}).first.path()};
  const auto expect_new = [&](const std::vector<std::string>& files) {
    EXPECT_TRUE(caches.insert(build.run(files).first.path()).second);
  };
  build.options.max_tokens = 512;
  expect_new({path});
  build.options.add_eos = false;
  expect_new({path});
  build.options.truncation = "drop";
  expect_new({path});
  expect_new({path, path});
  build.folder.write("x.jsonl", rows(10) + row(77));
  expect_new({path});
  build.options.shuffle = false;  // does not change the groups
  EXPECT_FALSE(caches.insert(build.run({path}).first.path()).second);
}

TEST(TokenCache, ValuesAndTagMakeANewOne) {
  Build build;
  const auto path = build.folder.write(
      "x.jsonl",
      R"({"prompt": "Q?", "chosen": " a", "rejected": " b", "x": [1, 2], "y": [3, 4], "t": "u"})");
  std::set<std::filesystem::path> caches{build.run({path}).first.path()};
  const auto expect_new = [&] {
    EXPECT_TRUE(caches.insert(build.run({path}).first.path()).second);
  };
  build.options.values = {"x"};
  expect_new();
  build.options.values = {"x", "y"};
  expect_new();
  build.options.tag = "t";
  expect_new();
}

TEST(TokenCache, AnyDamageIsFoundAndMendedWithAWord) {
  Build build;
  const auto path = build.folder.write("x.jsonl", rows(13));
  const auto cache_path = build.run({path}).first.path();
  const std::string whole = read_file(cache_path);
  for (uint64_t seed = 0; seed < 60; ++seed) {
    RandomStream random(seed);
    std::string bytes = whole;
    if (seed % 3 == 0) {
      bytes.resize(random.below(bytes.size()));
    } else {
      bytes[random.below(bytes.size())] ^= static_cast<char>(1U << random.below(8));
    }
    std::ofstream(cache_path, std::ios::binary) << bytes;
    EXPECT_THROW(TokenCache{cache_path}, Error) << "seed " << seed;
  }
  const auto [cache, report] = build.run({path});
  EXPECT_FALSE(report.from_cache);
  EXPECT_THAT(build.listener.warnings, ElementsAre(HasSubstr("it is made again")));
  EXPECT_EQ(read_file(cache_path), whole);
}

TEST(TokenCache, AFileAcrossTheChecksumsPiecesIsWhole) {
  const Folder folder;
  const auto path = folder.at("edge.tokens");
  EncodedGroup group;
  group.prompt = std::vector<int32_t>(kCachePiece / 4 - 70, 3);
  group.completions = {{1}};
  const auto bytes_with_report = [&](size_t report) {
    CacheWriter writer(path, std::string(32, 'a'));
    writer.add(group, 5, "x:1");
    writer.finish(std::string(report, ' '));
    EXPECT_EQ(TokenCache(path).group(0).prompt, group.prompt) << report;
    return std::filesystem::file_size(path);
  };
  // What the checksum covers ends exactly with a piece, one byte before it, and one behind.
  const size_t least = bytes_with_report(0) - sizeof(uint64_t);
  ASSERT_LT(least, kCachePiece);
  const size_t exact = kCachePiece - least;
  EXPECT_EQ(bytes_with_report(exact), kCachePiece + sizeof(uint64_t));
  bytes_with_report(exact - 1);
  bytes_with_report(exact + 1);
}

// 131 MiB of groups: reading all of them, in either order, leaves a few megabytes in memory.
TEST(TokenCache, HoweverMuchIsReadLittleStaysInMemory) {
  const Folder folder;
  const auto path = folder.at("large.tokens");
  {
    CacheWriter writer(path, std::string(32, 'a'));
    EncodedGroup group;
    group.prompt = std::vector<int32_t>(1 << 14, 3);
    group.completions = {{1}, {2, 5}};
    for (int i = 0; i < 2096; ++i) {
      writer.add(group, 5, "x:1");
    }
    writer.finish("{}");
  }
  const TokenCache cache(path);
  const int64_t before = mapped_resident_bytes();
  int64_t most = 0;
  for (int64_t i = 0; i < 2 * cache.size(); ++i) {
    const int64_t at = i < cache.size() ? i : 2 * cache.size() - 1 - i;
    ASSERT_EQ(cache.group(at).completions[1][1], 5);
    most = std::max(most, mapped_resident_bytes() - before);
  }
  EXPECT_GT(most, int64_t{1} << 20);
  EXPECT_LT(most, int64_t{24} << 20);
}

TEST(TokenCache, ALyingFileWithARightChecksumCannotReachOutside) {
  const Folder folder;
  const auto path = folder.at("lies.tokens");
  CacheWriter writer(path, std::string(32, 'a'));
  const EncodedGroup group{.prompt = {1, 2, 3},
                           .completions = {{4}, {5, 6}},
                           .labels = {1, -1},
                           .label_weights = {11, 13},
                           .scores = {2, 3},
                           .values = {{"cost", {5, 7}}},
                           .tag = "t"};
  writer.add(group, 5, "x:1");
  writer.finish("{}");
  const std::string whole = read_file(path);
  CacheFooter footer;
  std::memcpy(&footer, whole.data() + whole.size() - sizeof footer, sizeof footer);
  const size_t index = footer.index_offset;
  for (size_t at = index; at < index + sizeof(IndexRecord); at += 4) {
    for (const uint32_t lie : {0xffffffffU, 0x7fffffffU, 1000U}) {
      std::string bytes = whole;
      std::memcpy(bytes.data() + at, &lie, sizeof lie);
      const size_t body = bytes.size() - sizeof(uint64_t);
      const uint64_t sum = Hasher().add(std::string_view(bytes).substr(0, body)).word();
      std::memcpy(bytes.data() + body, &sum, sizeof sum);
      std::ofstream(path, std::ios::binary) << bytes;
      const TokenCache cache(path);
      try {
        static_cast<void>(cache.group(0));
        static_cast<void>(cache.where(0));
      } catch (const Error& e) {
        EXPECT_THAT(e.what(), HasSubstr("damaged"));
      }
    }
  }
}

TEST(BuildTokenCache, ABadRowStopsOrIsCounted) {
  Build build;
  const auto path = build.folder.write("x.jsonl",
                                       row(1) +
                                           R"({"prompt": "Q", "chosen": "a", "rejectd": "b"})"
                                           "\n" +
                                           row(2) + "{\n");
  EXPECT_EQ(message_of([&] { build.run({path}); }, path),
            R"(:2: field "rejected" is missing; the row has "rejectd")");
  EXPECT_TRUE(std::filesystem::is_empty(build.folder.at("cache")));
  build.options.on_bad_row = "skip";
  const auto [cache, report] = build.run({path});
  EXPECT_EQ(cache.size(), 2);
  ASSERT_THAT(report.dropped, SizeIs(2));
  EXPECT_EQ(report.dropped[0].reason, R"(field "rejected" is missing)");
  EXPECT_EQ(report.dropped[1].reason, "invalid JSON");
  EXPECT_EQ(report.rows, 4);
}

TEST(BuildTokenCache, RowsThatCannotFitAreCountedNotFatal) {
  Build build;
  build.options.max_tokens = 16;
  build.options.truncation = "drop";
  const std::string big(400, 'z');
  const auto path = build.folder.write("x.jsonl",
                                       row(1) + R"({"prompt": "Q", "chosen": ")" + big +
                                           R"(", "rejected": "b"})"
                                           "\n");
  build.options.long_completion = "drop";
  const auto [cache, report] = build.run({path});
  EXPECT_EQ(cache.size(), 1);
  ASSERT_THAT(report.dropped, SizeIs(1));
  EXPECT_EQ(report.dropped[0].reason, "a completion is longer than 15 tokens");
}

TEST(BuildTokenCache, NothingUsableIsAnErrorThatSaysWhy) {
  Build build;
  build.options.on_bad_row = "skip";
  const auto path = build.folder.write("x.jsonl", "{}\n{}\n");
  EXPECT_EQ(message_of([&] { build.run({path}); }, path),
            fmt::format(": none of the 2 rows can be used: no preference in the row (2 rows, as "
                        "{}:1)",
                        path));
  EXPECT_THAT(message_of([&] { build.run({}); }), HasSubstr("no file is given"));
}

TEST(BuildTokenCache, AFolderThatCannotBeMadeIsNamed) {
  Build build;
  const auto path = build.folder.write("x.jsonl", rows(3));
  build.folder.write("cache", "a file");
  EXPECT_THAT(message_of([&] { build.run({path}); }), HasSubstr("data.cache_dir: "));
}

TEST(Split, APromptIsOnOneSideAndKeepsIt) {
  Build build;
  const auto small = build.folder.write("a.jsonl", rows(200) + rows(200));
  const auto large = build.folder.write("b.jsonl", rows(300));
  const auto [a, report_a] = build.run({small});
  const auto [b, report_b] = build.run({large});
  const Split split = split_by_prompt(a, 0.25, 7);
  EXPECT_EQ(split.train.size() + split.held_out.size(), 400U);
  EXPECT_NEAR(static_cast<double>(split.held_out.size()), 100.0, 45.0);  // 5 sigma of 200 prompts
  std::set<uint64_t> held_out;
  for (const int64_t i : split.held_out) {
    held_out.insert(a.prompt_hash(i));
  }
  for (const int64_t i : split.train) {
    EXPECT_FALSE(held_out.contains(a.prompt_hash(i)));
  }
  // The first 200 prompts of the larger set keep their side.
  const Split more = split_by_prompt(b, 0.25, 7);
  for (const int64_t i : more.held_out) {
    EXPECT_TRUE(i >= 199 || held_out.contains(b.prompt_hash(i))) << i;
  }
  EXPECT_NE(split_by_prompt(a, 0.25, 8).held_out, split.held_out);
}

TEST(Split, SmallDataKeepsAPromptOnEachSide) {
  Build build;
  const auto [two, report] = build.run({build.folder.write("x.jsonl", rows(2))});
  for (const double fraction : {0.001, 0.999}) {
    const Split split = split_by_prompt(two, fraction, 3);
    EXPECT_EQ(split.train.size(), 1U);
    EXPECT_EQ(split.held_out.size(), 1U);
  }
  EXPECT_TRUE(split_by_prompt(two, 0.0, 3).held_out.empty());
  const auto [one, unused] = build.run({build.folder.write("y.jsonl", rows(1))});
  EXPECT_EQ(split_by_prompt(one, 0.5, 3).train.size(), 1U);
}

}  // namespace
}  // namespace attune::data
