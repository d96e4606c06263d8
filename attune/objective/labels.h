// What a label that is right with some probability makes of a loss, and numbers that rows may lack.
#pragma once

#include <string>
#include <string_view>

#include <ATen/TensorOperators.h>

#include "attune/objective/term.h"

namespace attune::objective {

/// -p log sigmoid(z) - (1 - p) log sigmoid(-z), [P].
at::Tensor logistic_loss(const at::Tensor& z_P, const at::Tensor& p_P);

/// The mean over what the label may be: p loss(winner, loser) + (1 - p) loss(loser, winner), [P].
/// `loss` takes two lists of sequences, int64 [P], the preferred ones first; it must be finite.
template <class Loss>
at::Tensor expected(const TermInput& in, const Loss& loss) {
  const auto& [winner_P, loser_P, p_P, weight_P] = in.feedback.pairs;
  return p_P * loss(winner_P, loser_P) + (1 - p_P) * loss(loser_P, winner_P);
}

/// The same of a loss that depends on a margin alone: p loss(x) + (1 - p) loss(-x), [P].
template <class Loss>
at::Tensor expected_of_margin(const TermInput& in, const at::Tensor& x_P, const Loss& loss) {
  const at::Tensor& p_P = in.feedback.pairs.probability_P;
  return p_P * loss(x_P) + (1 - p_P) * loss(-x_P);
}

/// @throws Error naming `term` and `what` if a compared completion has no number in x_S.
void check_known(std::string_view term,
                 std::string_view what,
                 const at::Tensor& x_S,
                 const TermInput& in);

/// A column of data.values, [S]. @throws Error naming `term` if it is not there or a compared
/// completion has no number in it.
const at::Tensor& column(std::string_view term, const std::string& name, const TermInput& in);

}  // namespace attune::objective
