#include "attune/objective/scores.h"

#include "attune/core/error.h"

namespace attune::objective {
namespace {

void check_size(std::string_view term, const char* what, const at::Tensor& got, int64_t want) {
  check(got.defined() && got.dim() == 1, "{}: {} must be a list of {} numbers", term, what, want);
  check(got.size(0) == want, "{}: {} must have {} entries, got {}", term, what, want, got.size(0));
}

}  // namespace

void check_shapes(std::string_view term,
                  const SequenceLogps& policy,
                  const SequenceLogps* reference,
                  const Comparisons& pairs) {
  check(policy.sum_S.dim() == 1,
        "{}: policy.sum must be one number per sequence, got {} dimensions; gather the labels, "
        "mask the prompt and sum over tokens first",
        term,
        policy.sum_S.dim());
  const int64_t S = policy.sum_S.size(0);
  check_size(term, "policy.count", policy.count_S, S);
  if (reference != nullptr) {
    check_size(term, "reference.sum", reference->sum_S, S);
  }
  const int64_t P = pairs.winner_P.size(0);
  check(P > 0, "{}: no comparison in the batch", term);
  check_size(term, "loser", pairs.loser_P, P);
  check_size(term, "probability", pairs.probability_P, P);
  check_size(term, "weight", pairs.weight_P, P);
}

}  // namespace attune::objective
