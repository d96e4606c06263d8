#include "attune/objective/term.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>

#include "attune/core/error.h"

namespace attune::objective {
namespace {

void check_size(std::string_view term, const char* what, const at::Tensor& got, int64_t want) {
  check(got.defined() && got.dim() == 1, "{}: {} must be a list of {} numbers", term, what, want);
  check(got.size(0) == want, "{}: {} must have {} entries, got {}", term, what, want, got.size(0));
}

void check_pairs(std::string_view term, const Comparisons& pairs) {
  const int64_t P = pairs.winner_P.defined() ? pairs.winner_P.size(0) : 0;
  check(P > 0, "{}: no comparison in the batch", term);
  check_size(term, "loser", pairs.loser_P, P);
  check_size(term, "probability", pairs.probability_P, P);
  check_size(term, "weight", pairs.weight_P, P);
}

}  // namespace

void check_input(std::string_view term, const Needs& needs, const TermInput& in) {
  const auto& [policy, reference, feedback, state, training] = in;
  check(policy.sum_S.dim() == 1,
        "{}: policy.sum must be one number per sequence, got {} dimensions; gather the labels, "
        "mask the prompt and sum over tokens first",
        term,
        policy.sum_S.dim());
  const int64_t S = policy.sum_S.size(0);
  check_size(term, "policy.count", policy.count_S, S);
  if (needs.reference) {
    check_size(term, "reference.sum", reference.sum_S, S);
  }
  if (needs.unit == Unit::kPair) {
    check_pairs(term, feedback.pairs);
  } else if (needs.unit == Unit::kLabel) {
    check(S > 0, "{}: no completion in the batch", term);
    check_size(term, "label", feedback.label_S, S);
    check_size(term, "label_weight", feedback.label_weight_S, S);
  } else {
    check_size(term, "rank", feedback.rank_S, S);
    check_size(term, "group", feedback.group_S, S);
    check(feedback.group_weight_G.defined() && feedback.group_weight_G.dim() == 1 &&
              feedback.group_weight_G.size(0) > 0,
          "{}: no ranking in the batch",
          term);
  }
  if (needs.tokens || needs.concentration) {
    check(feedback.sequence_C.defined() && feedback.sequence_C.dim() == 1,
          "{}: sequence must name the completion of each token",
          term);
  }
  const auto check_tokens = [&](const char* what, const at::Tensor& tokens) {
    check_size(term, what, tokens, feedback.sequence_C.size(0));
  };
  if (needs.tokens) {
    check_tokens("policy.token", policy.token_C);
    if (needs.reference) {
      check_tokens("reference.token", reference.token_C);
    }
  }
  if (needs.concentration) {
    check_tokens("policy.concentration", policy.concentration_C);
  }
  if (needs.divergence) {
    check_size(term, "policy.divergence", policy.divergence_S, S);
  }
  if (needs.scores) {
    check_size(term, "score", feedback.score_S, S);
  }
  if (needs.groups || needs.mismatched) {
    check_size(term, "group", feedback.group_S, S);
    check_size(term, "mismatched", feedback.mismatched_S, S);
  }
}

at::Tensor log_ratio(const TermInput& in) {
  return in.policy.sum_S - in.reference.sum_S;
}

at::Tensor winners(const at::Tensor& x_S, const TermInput& in) {
  return x_S.index_select(0, in.feedback.pairs.winner_P);
}

at::Tensor losers(const at::Tensor& x_S, const TermInput& in) {
  return x_S.index_select(0, in.feedback.pairs.loser_P);
}

at::Tensor difference(const at::Tensor& x_S, const TermInput& in) {
  return winners(x_S, in) - losers(x_S, in);
}

at::Tensor expected(const at::Tensor& as_said_P,
                    const at::Tensor& reversed_P,
                    const TermInput& in) {
  const at::Tensor& p_P = in.feedback.pairs.probability_P;
  return p_P * as_said_P + (1 - p_P) * reversed_P;
}

at::Tensor mean_logp(const TermInput& in) {
  return in.policy.sum_S / in.policy.count_S;
}

at::Tensor by_label(const at::Tensor& desirable_S,
                    const at::Tensor& undesirable_S,
                    const TermInput& in) {
  const at::Tensor& label_S = in.feedback.label_S;
  return (label_S > 0) * desirable_S + (label_S < 0) * undesirable_S;
}

}  // namespace attune::objective
