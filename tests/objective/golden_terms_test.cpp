// Every registered objective against tests/golden/objectives.json, made from the papers' equations,
// and tests/golden/trl_losses.json, made by TRL's own code.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>

#include "attune/config/fields.h"
#include "attune/config/section.h"
#include "attune/io/json.h"

#include "tests/objective/support.h"

namespace attune::objective {
namespace {

using nlohmann::json;
using tests::numbers;

std::vector<double> list(const json& values) {
  std::vector<double> out;
  for (const json& value : values) {
    out.push_back(value.is_null() ? tests::kNone : value.get<double>());
  }
  return out;
}

// The term as a run file would have it: JSON is YAML.
TermOptions read_term(const json& entry) {
  TermOptions term{.kind = entry.at("kind"), .weight = entry.at("weight")};
  const config::Section options =
      config::parse_run_file(entry.at("options").dump(), "golden options");
  bool known = false;
  visit_kinds([&]<class Own>(const Own& /*defaults*/) {
    if (term.kind == Own::kKind) {
      term.options = config::read_fields<Own>(options, term.kind);
      known = true;
    }
  });
  if (!known) {
    throw Error(fmt::format("no objective of kind {}", term.kind));
  }
  return term;
}

std::vector<TermOptions> read_terms(const json& row) {
  std::vector<TermOptions> terms;
  for (const json& entry : row.at("terms")) {
    terms.push_back(read_term(entry));
  }
  return terms;
}

TermInput read_batch(const json& batch, at::ScalarType dtype) {
  const auto real = [&](const char* key) { return tests::f64(list(batch.at(key))).to(dtype); };
  const auto leaf = [&](const char* key) { return real(key).set_requires_grad(true); };
  const auto index = [&](const char* key) { return tests::i64(list(batch.at(key))); };
  TermInput in{
      .policy = {.sum_S = leaf("lp"),
                 .count_S = real("count"),
                 .token_C = leaf("token"),
                 .divergence_S = leaf("divergence"),
                 .concentration_C = real("concentration")},
      .reference = {.sum_S = real("rf"), .count_S = real("count"), .token_C = real("ref_token")},
      .feedback = {.pairs = {.winner_P = index("winner"),
                             .loser_P = index("loser"),
                             .probability_P = real("probability"),
                             .weight_P = real("weight")},
                   .label_S = real("label"),
                   .label_weight_S = real("label_weight"),
                   .rank_S = index("rank"),
                   .group_S = index("group"),
                   .group_weight_G = real("group_weight"),
                   .score_S = real("score"),
                   .mismatched_S = real("mismatched").to(at::kBool),
                   .sequence_C = index("sequence")}};
  for (const auto& [name, column] : batch.at("values").items()) {
    in.feedback.values[name] = tests::f64(list(column)).to(dtype);
  }
  return in;
}

std::vector<double> slope(const at::Tensor& leaf) {
  return leaf.grad().defined() ? numbers(leaf.grad())
                               : std::vector<double>(static_cast<size_t>(leaf.size(0)), 0);
}

// Relative to the largest number of the list, or to 1.
void expect_near(const std::vector<double>& got,
                 const std::vector<double>& want,
                 double tolerance,
                 const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  double scale = 1;
  for (const double x : want) {
    scale = std::max(scale, std::abs(x));
  }
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], tolerance * scale) << what << ", entry " << i;
  }
}

void compare(const json& file, const json& row, at::ScalarType dtype, double tolerance) {
  TermInput in = read_batch(file.at("batches").at(row.at("batch").get<size_t>()), dtype);
  TermState state = row.at("state").get<TermState>();
  in.state = &state;
  in.training = true;
  const std::vector<double> factors = list(row.at("factors"));
  at::Tensor loss_I;
  for (const TermOptions& options : read_terms(row)) {
    const at::Tensor part_I = options.weight * make_term(options).run(in).loss_I;
    EXPECT_EQ(part_I.scalar_type(), dtype);
    loss_I = loss_I.defined() ? loss_I + part_I : part_I;
  }
  std::vector<double> got = numbers(loss_I);
  std::vector<double> want = list(row.at("loss"));
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    got[i] *= factors[i];
    want[i] *= factors[i];
  }
  expect_near(got, want, tolerance, "loss");
  (tests::f64(factors).to(dtype) * loss_I).sum().backward();
  const auto compare_slope = [&](const char* key, const at::Tensor& leaf) {
    expect_near(slope(leaf),
                row.contains(key) ? list(row.at(key))
                                  : std::vector<double>(static_cast<size_t>(leaf.size(0)), 0),
                tolerance,
                key);
  };
  compare_slope("d_lp", in.policy.sum_S);
  compare_slope("d_token", in.policy.token_C);
  compare_slope("d_divergence", in.policy.divergence_S);
}

class GoldenTerms : public testing::TestWithParam<at::ScalarType> {};

INSTANTIATE_TEST_SUITE_P(Precision,
                         GoldenTerms,
                         testing::Values(at::kDouble, at::kFloat),
                         [](const auto& test) {
                           return test.param == at::kDouble ? "f64" : "f32";
                         });

TEST_P(GoldenTerms, EqualThePapersEquations) {
  const json file = io::read_json(tests::golden("objectives.json"));
  const double tolerance = GetParam() == at::kDouble ? 1e-12 : 1e-5;
  for (const json& row : file.at("cases")) {
    SCOPED_TRACE(row.at("name").get<std::string>());
    EXPECT_EQ(tests::error_of([&] { compare(file, row, GetParam(), tolerance); }), "no error");
  }
}

TEST(GoldenTerms, CoverEveryKind) {
  std::set<std::string> cases;
  const json file = io::read_json(tests::golden("objectives.json"));
  for (const json& row : file.at("cases")) {
    for (const json& term : row.at("terms")) {
      cases.insert(term.at("kind"));
    }
  }
  std::set<std::string> kinds;
  visit_kinds([&](const auto& options) { kinds.emplace(options.kKind); });
  EXPECT_EQ(cases, kinds);
}

// What a step of attune would make of the batch: the loss, and its slope along each token's
// log-prob, through the sums and directly.
struct Step {
  double loss = 0;
  std::vector<double> slope;
};

Step step_of(const json& batch, const std::vector<TermOptions>& terms, at::ScalarType dtype) {
  const TermInput in = read_batch(batch, dtype);
  const auto total = [](const at::Tensor& weights) { return weights.sum().item<double>(); };
  const ObjectiveOutput out = Objective(terms).run(in,
                                                   {.pair = total(in.feedback.pairs.weight_P),
                                                    .label = total(in.feedback.label_weight_S),
                                                    .group = total(in.feedback.group_weight_G)});
  out.loss.backward();
  Step step{.loss = out.loss.item<double>(), .slope = slope(in.policy.token_C)};
  const std::vector<double> by_sum = slope(in.policy.sum_S);
  const std::vector<double> owner = list(batch.at("sequence"));
  for (size_t c = 0; c < owner.size(); ++c) {
    step.slope[c] += by_sum[static_cast<size_t>(owner[c])];
  }
  return step;
}

TEST_P(GoldenTerms, EqualTrlsLosses) {
  const json file = io::read_json(tests::golden("trl_losses.json"));
  int differ = 0;
  for (const json& row : file.at("cases")) {
    const json& batch = file.at("batches").at(row.at("batch").get<size_t>());
    SCOPED_TRACE(row.at("trainer").get<std::string>() + row.at("settings").dump() + " on " +
                 batch.at("name").get<std::string>());
    Step got;
    const std::string error =
        tests::error_of([&] { got = step_of(batch, read_terms(row), GetParam()); });
    EXPECT_EQ(error, "no error");
    if (error != "no error") {
      continue;
    }
    const double loss = row.at("loss");
    if (row.at("relation") == "differs") {  // for the reason that the case names
      EXPECT_FALSE(row.at("why").get<std::string>().empty());
      EXPECT_GT(std::abs(got.loss - loss), 1e-4);
      ++differ;
      continue;
    }
    const double tolerance =
        std::max(row.at("tolerance").get<double>(), GetParam() == at::kDouble ? 0.0 : 1e-5);
    expect_near({got.loss}, {loss}, tolerance, "loss");
    expect_near(got.slope, list(row.at("d_token")), tolerance, "slope");
  }
  EXPECT_GT(differ, 5);
}

}  // namespace
}  // namespace attune::objective
