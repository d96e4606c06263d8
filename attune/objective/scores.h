// What a term of the objective is given, and what it gives back.
#pragma once

#include <string_view>

#include <ATen/core/Tensor.h>

namespace attune::objective {

/// log pi(y|x) of each completion.
struct SequenceLogps {
  at::Tensor sum_S;  ///< Summed over the completion's tokens, nats. The policy's carries gradients.
  at::Tensor count_S;  ///< Tokens summed over, as a float of sum_S's dtype.
};

/// The comparisons of a batch.
struct Comparisons {
  at::Tensor winner_P;       ///< int64, indices into the S sequences.
  at::Tensor loser_P;        ///< int64, indices into the S sequences.
  at::Tensor probability_P;  ///< That the winner is preferred, in [0, 1].
  at::Tensor weight_P;       ///< Of the comparison in the loss, 0 or more.
};

/// Unreduced: the step divides once by the global weight.
struct TermOutput {
  at::Tensor loss_P;    ///< nats.
  at::Tensor reward_S;  ///< Implicit reward, detached; compare it within a prompt only.
};

/// @throws Error naming `term` if a shape differs or P is 0.
void check_shapes(std::string_view term,
                  const SequenceLogps& policy,
                  const SequenceLogps* reference,
                  const Comparisons& pairs);

}  // namespace attune::objective
