// The kinds over pairs against tests/golden/pair_terms.py, worked in 200 digits.
#include <set>

#include <ATen/TensorOperators.h>

#include "attune/config/fields.h"
#include "attune/io/json.h"

#include "tests/objective/rows.h"

namespace attune::objective {
namespace {

using tests::numbers;

// Sets one option from a JSON value of its own type.
void assign(const config::Member& member, const nlohmann::json& value) {
  std::visit(
      [&](auto* to) {
        if constexpr (requires { value.get<std::decay_t<decltype(*to)>>(); }) {
          *to = value.get<std::decay_t<decltype(*to)>>();
        }
      },
      member);
}

// The term of `kind` with the options of `given`, each of which it must have.
TermOptions term_of(const std::string& kind, const nlohmann::json& given) {
  TermOptions term{.kind = kind};
  bool found = false;
  visit_kinds([&](auto options) {
    if (options.kKind != kind) {
      return;
    }
    found = true;
    size_t set = 0;
    for (const config::FieldRef& field : config::list_fields(options)) {
      if (const auto at = given.find(field.name); at != given.end()) {
        assign(field.value, *at);
        ++set;
      }
    }
    EXPECT_EQ(set, given.size());
    term.options = options;
  });
  EXPECT_TRUE(found) << kind;
  return term;
}

TEST(PairTerms, EqualTheGoldenRows) {
  const auto file = io::read_json(tests::golden("pair_terms.json"));
  std::set<std::string> kinds;
  for (const auto& row : file.at("rows")) {
    SCOPED_TRACE(row.dump());
    const auto x = [&](const char* key) { return row.at(key).template get<double>(); };
    const auto both = [&](const char* winner, const char* loser) {
      return tests::f64({x(winner), x(loser)});
    };
    const std::string kind = row.at("kind").get<std::string>();
    const Term term = make_term(term_of(kind, row.at("options")));
    tests::Batch batch({x("lp_w"), x("lp_l")}, {x("rf_w"), x("rf_l")}, {{0, 1, x("p")}});
    batch.in.policy.count_S = both("n_w", "n_l");
    batch.in.policy.divergence_S = both("K_w", "K_l");
    batch.in.feedback.score_S = both("s_w", "s_l");
    for (const std::string& column : term.columns) {
      batch.in.feedback.values[column] = batch.in.feedback.score_S;
    }
    const TermOutput out = term.run(batch.in);
    out.loss_I.sum().backward();
    const auto near = [](double got, double want) {
      EXPECT_NEAR(got, want, 1e-12 * std::max(1.0, std::abs(want)));
    };
    near(numbers(out.loss_I)[0], x("loss"));
    near(batch.slope()[0], x("d_lp_w"));
    near(batch.slope()[1], x("d_lp_l"));
    kinds.insert(kind);
  }
  EXPECT_EQ(kinds.size(), 22U);
}

}  // namespace
}  // namespace attune::objective
