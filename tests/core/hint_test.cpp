#include "attune/core/hint.h"

#include <array>
#include <string_view>

#include <gtest/gtest.h>

namespace attune {
namespace {

constexpr std::array<std::string_view, 4> kKnown{"beta", "label_smoothing", "kind", "weight"};

TEST(DidYouMean, NamesTheNearest) {
  EXPECT_EQ(did_you_mean("betta", kKnown), " Did you mean \"beta\"?");
  EXPECT_EQ(did_you_mean("wieght", kKnown), " Did you mean \"weight\"?");
  EXPECT_EQ(did_you_mean("Kind", kKnown), " Did you mean \"kind\"?");
}

TEST(DidYouMean, APrefixIsNear) {
  EXPECT_EQ(did_you_mean("label", kKnown), " Did you mean \"label_smoothing\"?");
}

TEST(DidYouMean, SaysNothingWhenNothingIsNear) {
  EXPECT_EQ(did_you_mean("temperature", kKnown), "");
  EXPECT_EQ(did_you_mean("", kKnown), "");
}

}  // namespace
}  // namespace attune
