#include "attune/config/foreign_names.h"

#include <array>
#include <string_view>

#include <gtest/gtest.h>

namespace attune::config {
namespace {

constexpr std::array<std::string_view, 3> kOptim{"lr", "schedule", "warmup_ratio"};

TEST(ForeignNames, AnOptionOfTrlIsNamedWithOurs) {
  EXPECT_EQ(here_it_is("learning_rate"),
            " Here it is optim.lr; a whole file of TRL's: attune config import-trl");
  EXPECT_EQ(here_it_is("lr"), "");
}

TEST(ForeignNames, OurNearNameIsTheFirstGuess) {
  EXPECT_EQ(option_hint("shedule", "optim", kOptim), " Did you mean \"schedule\"?");
}

TEST(ForeignNames, ASlipInAForeignNameFindsOurs) {
  EXPECT_EQ(option_hint("lernin_rate", "optim", kOptim), " Did you mean \"lr\"?");
  EXPECT_EQ(option_hint("learning_rate", "optim", kOptim), " Did you mean \"lr\"?");
}

TEST(ForeignNames, NamesOfOtherSectionsAreNoHint) {
  EXPECT_EQ(option_hint("lernin_rate", "train", kOptim), "");
  EXPECT_EQ(option_hint("zebra", "optim", kOptim), "");
}

}  // namespace
}  // namespace attune::config
