// log pi_ref(y|x): what the policy is compared with.
#pragma once

#include <memory>
#include <vector>

#include "attune/model/decoder.h"
#include "attune/objective/term.h"
#include "attune/train/batch.h"
#include "attune/train/score.h"

namespace attune::train {

/// A frozen model's log-probs; never carries gradients.
class Reference {
 public:
  virtual ~Reference() = default;
  /// Sums, and the tokens' log-probs if it was made for an objective that needs them.
  virtual objective::SequenceLogps logps(const PreferenceBatch& batch) = 0;
  /// Its whole distributions. @throws InternalError if it has no model at hand.
  virtual HeadRows rows(const PreferenceBatch& batch);
};

/// The policy's own weights with the adapter off. `model` must outlive it.
/// @param needs  Of the objective: with `tokens` the log-probs come token by token; with
///               `divergence` one pass serves both logps and rows of a batch.
std::unique_ptr<Reference> base_reference(const model::Decoder& model,
                                          const objective::Needs& needs = {});

/// Another model, kept whole.
std::unique_ptr<Reference> model_reference(std::unique_ptr<model::Decoder> model,
                                           const objective::Needs& needs = {});

/// How several references are one.
enum class Mix {
  kGeometric,  ///< sum_k a_k log pi_k: the optimum of sum_k a_k KL(pi || pi_k).
  kHarmonic,   ///< -log sum_k a_k / pi_k, of whole completions: no tokens.
};

/// A reference and its share, above 0.
struct WeightedReference {
  std::unique_ptr<Reference> reference;
  double weight = 1;
};

/// Several references as one, up to a constant for each prompt, which cancels in comparisons.
///
/// Papers: geometric, Aminian et al. 2025, arXiv:2502.01203; harmonic, Le et al. 2024,
/// arXiv:2405.16388, without its clipping.
std::unique_ptr<Reference> mixed_reference(std::vector<WeightedReference> shares, Mix mix);

/// For objectives that need none: undefined tensors.
std::unique_ptr<Reference> no_reference();

/// Asks `inner` once for each group and remembers, for pairs that are scored again and again.
std::unique_ptr<Reference> remembering_reference(Reference& inner);

}  // namespace attune::train
