#include "attune/objective/labels.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/log_sigmoid.h>

#include "attune/core/error.h"

namespace attune::objective {

at::Tensor logistic_loss(const at::Tensor& z_P, const at::Tensor& p_P) {
  return -p_P * at::log_sigmoid(z_P) - (1 - p_P) * at::log_sigmoid(-z_P);
}

void check_known(std::string_view term,
                 std::string_view what,
                 const at::Tensor& x_S,
                 const TermInput& in) {
  const int64_t missing = (~at::isfinite(difference(x_S, in))).sum().item<int64_t>();
  check(
      missing == 0,
      "{}: {} of {} comparisons in this batch have a completion without a number for \"{}\"; give "
      "every compared completion one",
      term,
      missing,
      in.feedback.pairs.winner_P.size(0),
      what);
}

const at::Tensor& column(std::string_view term, const std::string& name, const TermInput& in) {
  const auto at = in.feedback.values.find(name);
  check(at != in.feedback.values.end(),
        "{}: the data has no values \"{}\"; name the column in data.values",
        term,
        name);
  check_known(term, name, at->second, in);
  return at->second;
}

}  // namespace attune::objective
