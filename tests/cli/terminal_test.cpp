#include "attune/cli/terminal.h"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace attune::cli {
namespace {

// A screen of memory with a clock that the test moves.
class Screen {
 public:
  explicit Screen(bool is_terminal) : is_terminal_(is_terminal) {
    file_ = open_memstream(&text_, &size_);
  }
  ~Screen() {
    std::fclose(file_);
    std::free(text_);
  }

  Terminal::Screen parts() {
    return {.out = file_, .is_terminal = is_terminal_, .now_s = [this] { return now_s; }};
  }
  std::string text() {
    std::fflush(file_);
    return {text_, size_};
  }

  double now_s = 1000;

 private:
  bool is_terminal_;
  char* text_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_ = nullptr;
};

// After 12 s, 30 of 90 are ready: 60 more take 24 s at that rate.
TEST(Terminal, ALineSaysHowMuchTimeIsLeft) {
  Screen screen(/*is_terminal=*/false);
  Terminal terminal(LogKind::kText, screen.parts());
  terminal.progress("reference", 0, 90);
  screen.now_s += 12;
  terminal.progress("reference", 30, 90);
  EXPECT_EQ(screen.text(), "reference  30 of 90, 24 s left\n");
}

// A resumed task: 50 were ready at the start, 10 fresh ones took 11 s, 30 are left.
TEST(Terminal, TheTimeLeftCountsFreshWorkOnly) {
  Screen screen(/*is_terminal=*/false);
  Terminal terminal(LogKind::kText, screen.parts());
  terminal.progress("reference", 50, 90);
  screen.now_s += 11;
  terminal.progress("reference", 60, 90);
  EXPECT_EQ(screen.text(), "reference  60 of 90, 33 s left\n");
}

TEST(Terminal, ShortWorkSaysNothingWithoutATerminal) {
  Screen screen(/*is_terminal=*/false);
  Terminal terminal(LogKind::kText, screen.parts());
  terminal.progress("tokenising", 0, 7);
  screen.now_s += 3;
  terminal.progress("tokenising", 7, 7);
  EXPECT_EQ(screen.text(), "");
}

TEST(Terminal, LongWorkEndsWithItsTime) {
  Screen screen(/*is_terminal=*/false);
  Terminal terminal(LogKind::kText, screen.parts());
  terminal.progress("tokenising", 0, 0);
  screen.now_s += 11;
  terminal.progress("tokenising", 1234, 0);
  screen.now_s += 60;
  terminal.progress("tokenising", 5000, 5000);
  EXPECT_EQ(screen.text(), "tokenising  1,234\ntokenising  5,000 of 5,000, 1 min 11 s\n");
}

TEST(Terminal, ABarIsDrawnInPlaceAndGivesWayToNotes) {
  Screen screen(/*is_terminal=*/true);
  Terminal terminal(LogKind::kText, screen.parts());
  terminal.progress("tokenising", 0, 4);
  screen.now_s += 1;
  terminal.progress("tokenising", 1, 4);
  terminal.note("half way soon");
  EXPECT_EQ(screen.text(),
            "\r\x1b[K[....................]   0 %  tokenising  0 of 4"
            "\r\x1b[K[#####...............]  25 %  tokenising  1 of 4, 3 s left"
            "\r\x1b[Khalf way soon\n");
}

TEST(Terminal, ABarIsDrawnTenTimesASecondAtMost) {
  Screen screen(/*is_terminal=*/true);
  Terminal terminal(LogKind::kText, screen.parts());
  terminal.progress("tokenising", 0, 1000);
  const std::string first = screen.text();
  for (int i = 1; i < 10; ++i) {
    screen.now_s += 0.01;
    terminal.progress("tokenising", i, 1000);
  }
  EXPECT_EQ(screen.text(), first);
}

TEST(Terminal, JsonIsOneObjectALine) {
  Screen screen(/*is_terminal=*/true);
  Terminal terminal(LogKind::kJson, screen.parts());
  terminal.warn("a \"quoted\"\nline \x01");
  const nlohmann::json object = nlohmann::json::parse(screen.text());
  EXPECT_EQ(object["event"], "warning");
  EXPECT_EQ(object["text"], "a \"quoted\"\nline \x01");
}

TEST(Terminal, QuietPrintsWarningsOnly) {
  Screen screen(/*is_terminal=*/true);
  Terminal terminal(LogKind::kQuiet, screen.parts());
  terminal.progress("tokenising", 1, 2);
  terminal.note("note");
  terminal.warn("look");
  EXPECT_EQ(screen.text(), "warning: look\n");
}

TEST(Texts, ReadLikeAPersonWroteThem) {
  EXPECT_EQ(time_text(0.2), "under 1 s");
  EXPECT_EQ(time_text(200), "3 min 20 s");
  EXPECT_EQ(time_text(7500), "2 h 5 min");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1234567), "1,234,567");
  EXPECT_EQ(count_text(-123456), "-123,456");
  EXPECT_EQ(size_text(999), "999 B");
  EXPECT_EQ(size_text(98'400'000), "98.4 MB");
  EXPECT_EQ(size_text(999'999), "1.0 MB");
}

}  // namespace
}  // namespace attune::cli
