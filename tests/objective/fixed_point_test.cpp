// The meaning of a loss: trained to the end on a bandit with known rewards, in exact expectation,
// the policy must be the closed-form optimum.
#include <cmath>

#include "attune/objective/dpo.h"

#include "tests/objective/pair_bandit.h"

namespace attune::objective {
namespace {

using tests::expect_numbers;
using tests::pair_bandit::all_pairs;
using tests::pair_bandit::normalised;
using tests::pair_bandit::optimum;
using tests::pair_bandit::trained;

TEST(FixedPoint, DpoReachesTheClosedFormOptimum) {
  for (const double beta : {0.5, 1.0}) {
    SCOPED_TRACE(beta);
    for (const bool soft : {false, true}) {
      expect_numbers(trained(all_pairs(soft), DpoOptions{.beta = beta}), optimum(beta), 1e-4);
    }
  }
}

TEST(FixedPoint, LabelSmoothingStopsWhereTheLabelsAreThatUnsure) {
  // One pair, label certain, e = 0.1: sigmoid(z) = 0.9, so h_w - h_l = log(9) / beta.
  const std::vector<double> log_policy =
      trained({{0, 1, 1, 1}}, DpoOptions{.beta = 2, .label_smoothing = 0.1});
  const std::vector<double> reference = normalised(tests::pair_bandit::kArmReference);
  const double margin = (log_policy[0] - reference[0]) - (log_policy[1] - reference[1]);
  EXPECT_NEAR(margin, std::log(9.0) / 2, 1e-4);
}

}  // namespace
}  // namespace attune::objective
