#include "attune/io/gzip.h"

#include <zlib.h>

#include "tests/io/support.h"

namespace attune::io {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

// One gzip member.
std::string gzip(std::string_view text) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

fs::path file_of(std::string_view bytes) {
  const fs::path path = temp_path("text");
  write_file(path, bytes);
  return path;
}

std::vector<std::string> lines_of(std::string_view bytes, TextSourceLimits limits = {}) {
  TextSource source(file_of(bytes), limits);
  std::vector<std::string> lines;
  while (const auto line = source.next_line()) {
    lines.emplace_back(*line);
    EXPECT_EQ(source.line_number(), static_cast<int64_t>(lines.size()));
  }
  EXPECT_FALSE(source.next_line().has_value());
  return lines;
}

// Numbered lines of many lengths, more than any buffer holds.
std::string long_text() {
  std::string text;
  for (int i = 0; i < 40'000; ++i) {
    text += fmt::format("{}:{}\n", i, std::string(static_cast<size_t>(i * 7919 % 101), 'x'));
  }
  return text;
}

TEST(TextSource, GivesLinesWithoutTheirEnds) {
  for (const bool packed_up : {false, true}) {
    const auto lines = [&](std::string_view text) {
      return lines_of(packed_up ? gzip(text) : std::string(text));
    };
    EXPECT_THAT(lines("a\nbc\r\n\nd"), ElementsAre("a", "bc", "", "d"));
    EXPECT_THAT(lines("a\n"), ElementsAre("a"));
    EXPECT_THAT(lines("\n\n"), ElementsAre("", ""));
    EXPECT_THAT(lines(""), ElementsAre());
    EXPECT_THAT(lines("\xEF\xBB\xBF{}\n\xEF\xBB\xBF\n"), ElementsAre("{}", "\xEF\xBB\xBF"));
    EXPECT_THAT(lines(std::string_view("a\0b\n", 4)), ElementsAre(std::string_view("a\0b", 3)));
  }
}

TEST(TextSource, LongFilesAreReadWholeInEitherForm) {
  const std::string text = long_text();
  ASSERT_GT(text.size(), 2'000'000U);
  const std::string half = text.substr(0, text.size() / 2);
  const std::string members = gzip(half) + gzip("") + gzip(text.substr(half.size()));
  for (const std::string& bytes : {text, gzip(text), members}) {
    const auto lines = lines_of(bytes);
    ASSERT_EQ(lines.size(), 40'000U);
    std::string joined;
    for (const std::string& line : lines) {
      joined += line + "\n";
    }
    EXPECT_TRUE(joined == text);
    EXPECT_TRUE(TextSource(file_of(bytes)).read_all() == text);
  }
}

TEST(TextSource, ReadAllGivesTheRest) {
  TextSource source(file_of("first\r\nsecond\r\nthird"));
  EXPECT_EQ(source.next_line(), "first");
  EXPECT_EQ(source.read_all(), "second\r\nthird");
  EXPECT_FALSE(source.next_line().has_value());
}

TEST(TextSource, ALineThatIsTooLongIsNamed) {
  const std::string text = "ab\n" + std::string(10, 'c') + "\n" + std::string(11, 'd') + "\n";
  EXPECT_THAT(error_of([&] { lines_of(text, {.max_line_bytes = 10}); }),
              HasSubstr("text:3: the line is longer than 10 bytes"));
  // A small file that unpacks to 50 MB without a newline is stopped at the limit.
  const std::string bomb = gzip(std::string(50'000'000, 'a'));
  ASSERT_LT(bomb.size(), 100'000U);
  EXPECT_THAT(error_of([&] { lines_of(bomb, {.max_line_bytes = 1'000'000}); }),
              HasSubstr("text:1: the line is longer than 1000000 bytes"));
  TextSource source(file_of(bomb), {.max_total_bytes = 1'000'000});
  EXPECT_THAT(error_of([&] { source.read_all(); }), HasSubstr("longer than 1000000 bytes"));
}

TEST(TextSource, AGzipFileCutAnywhereIsRefused) {
  const std::string whole = gzip("some words, some more words, some other words\n");
  for (size_t length = 2; length < whole.size(); ++length) {
    EXPECT_THAT(error_of([&] { lines_of(whole.substr(0, length)); }),
                HasSubstr(fmt::format("text: the gzip data is cut off at byte {}", length)));
  }
  EXPECT_EQ(lines_of(whole).size(), 1U);
}

TEST(TextSource, BrokenGzipNamesFileAndOffset) {
  const std::string text = long_text();
  const std::string whole = gzip(text);
  std::string broken = whole;
  broken[broken.size() - 6] ^= 1;  // in the checksum
  EXPECT_THAT(error_of([&] { lines_of(broken); }),
              HasSubstr("text: the gzip data is broken at byte"));
  broken = whole + "tail";
  EXPECT_THAT(
      error_of([&] { lines_of(broken); }),
      HasSubstr(fmt::format("broken at byte {}: incorrect header check", whole.size() + 2)));
  // Zeros are padding.
  EXPECT_EQ(lines_of(whole + std::string(512, '\0')).size(), 40'000U);
}

TEST(TextSource, WhatIsNoFileIsRefused) {
  EXPECT_THAT(error_of([] { TextSource("/no/such/file"); }),
              HasSubstr("/no/such/file: cannot be read: No such file"));
  EXPECT_THAT(error_of([] { TextSource(testing::TempDir()); }), HasSubstr("got a folder"));
}

TEST(TextSource, IsGzipLooksAtTheFirstTwoBytes) {
  EXPECT_TRUE(is_gzip(as_bytes(gzip("a"))));
  EXPECT_FALSE(is_gzip(as_bytes("\x1f")));
  EXPECT_FALSE(is_gzip(as_bytes("{}")));
}

}  // namespace
}  // namespace attune::io
