// What a term of the objective is given, and what it gives back.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>

#include "attune/objective/needs.h"

namespace attune::objective {

/// What one model says of the S completions of a batch, whose scored tokens are C in all. The
/// policy's numbers carry gradients, the reference's do not. Tensors that nobody asked for are
/// undefined.
struct SequenceLogps {
  at::Tensor sum_S = {};         ///< log pi(y|x) summed over the completion's tokens, nats.
  at::Tensor count_S = {};       ///< Tokens summed over, as a float of sum_S's dtype.
  at::Tensor token_C = {};       ///< log pi of each token, nats, in the order of the completions.
  at::Tensor divergence_S = {};  ///< sum_t KL(reference || policy), nats; the policy's only.
  at::Tensor concentration_C = {};  ///< log sum_v pi(v)^2 at each token; never carries gradients.
};

/// The comparisons of a batch.
struct Comparisons {
  at::Tensor winner_P = {};       ///< int64, indices into the S sequences.
  at::Tensor loser_P = {};        ///< int64, indices into the S sequences.
  at::Tensor probability_P = {};  ///< That the winner is preferred, in [0, 1].
  at::Tensor weight_P = {};       ///< Of the comparison in the loss, 0 or more.
};

/// All that people said of the S completions of a batch. Only `pairs` is always there.
struct Feedback {
  Comparisons pairs = {};
  at::Tensor label_S = {};         ///< 1 desirable, -1 undesirable, 0 not said.
  at::Tensor label_weight_S = {};  ///< Of the label in the loss; 0 where there is none.
  at::Tensor rank_S =
      {};  ///< int64: how many of its group are better, ties share it; -1: not ranked.
  at::Tensor group_S = {};         ///< int64 in [0, G), never falls: the prompt.
  at::Tensor group_weight_G = {};  ///< Of the ranking in the loss; 0 where there is none.
  at::Tensor score_S = {};         ///< Higher is better; NaN: not scored.
  at::Tensor mismatched_S = {};  ///< bool: another prompt's completion, there for an estimate only.
  at::Tensor sequence_C = {};    ///< int64, never falls: the completion of each token.
  std::map<std::string, at::Tensor> values =
      {};  ///< By column: a number for each completion; NaN: none.
};

/// Numbers that a term carries from step to step; saved with each checkpoint.
using TermState = std::map<std::string, double>;

/// Sums of weights over the whole step, by unit: what losses are divided by.
struct UnitWeights {
  double pair = 0;
  double label = 0;
  double group = 0;

  UnitWeights& operator+=(const UnitWeights& more) {
    pair += more.pair;
    label += more.label;
    group += more.group;
    return *this;
  }
  [[nodiscard]] double of(Unit unit) const {
    return unit == Unit::kPair ? pair : unit == Unit::kLabel ? label : group;
  }
};

/// What a term reads.
struct TermInput {
  SequenceLogps policy;
  SequenceLogps reference = {};
  Feedback feedback = {};
  TermState* state = nullptr;  ///< Of this term; null: starts anew and is forgotten.
  bool training = false;       ///< State may move.
};

/// Unreduced: one number for each item of the term's unit. The step divides once, by the global
/// weight.
struct TermOutput {
  at::Tensor loss_I;    ///< nats.
  at::Tensor reward_S;  ///< Implicit reward, detached; compare it within a prompt only.
  std::map<std::string, double> figures = {};  ///< For the metrics: a shift, a multiplier.
};

/// @throws Error naming `term` if a tensor that it needs is missing or has another shape, or if
/// there is no item of its unit.
void check_input(std::string_view term, const Needs& needs, const TermInput& in);

/// log pi(y|x) - log pi_ref(y|x), [S].
at::Tensor log_ratio(const TermInput& in);
/// Of a number for each completion, the winners' or the losers', [P].
at::Tensor winners(const at::Tensor& x_S, const TermInput& in);
at::Tensor losers(const at::Tensor& x_S, const TermInput& in);
/// winners - losers, [P].
at::Tensor difference(const at::Tensor& x_S, const TermInput& in);
/// Over who is preferred: p as_said + (1 - p) reversed, p the comparison's probability, [P].
at::Tensor expected(const at::Tensor& as_said_P, const at::Tensor& reversed_P, const TermInput& in);
/// The policy's log-prob of a mean token, nats, [S].
at::Tensor mean_logp(const TermInput& in);
/// The one where desirable, the other where undesirable, 0 where nothing was said, [S]. Both must
/// be finite everywhere.
at::Tensor by_label(const at::Tensor& desirable_S,
                    const at::Tensor& undesirable_S,
                    const TermInput& in);

}  // namespace attune::objective
