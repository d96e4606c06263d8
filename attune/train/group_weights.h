// Weights of tags in the loss that grow with their losses: group DRO.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "attune/objective/registry.h"
#include "attune/objective/term.h"
#include "attune/train/batch.h"

namespace attune::train {

/// Each tag's shares of the sums of weights that losses are divided by: by unit, each sums to 1
/// over the tags, or is 0 everywhere.
using TagShares = std::map<std::string, objective::UnitWeights>;

/// Minimises the loss of the worst mixture of tags in place of that of the data's own. With shares
/// p_g of the data's weights w, losses L_g of a step (of the tag's items, a weighted mean) and
/// weights q_g, equal at first,
///
///   loss = sum_i w_i (q_g(i) / p_g(i)) loss_i / sum_i w_i       of the step, an estimate of
///          sum_g q_g L_g
///   q_g <- q_g exp(eta L_g), then divided by their sum          after it
///   q_g <- max(q_g, 1e-6 / G), then divided by their sum        of G tags
///
/// The last line keeps a tag that was easy for long able to come back: its weight would round to 0,
/// which no factor moves. A tag that is not in a step keeps its weight but for the divisions.
///
/// A term that couples its items is that of the reweighted step: `aot` ranks masses w q / p,
/// `beta_dpo` filters by them, `kto` and `bco_unpaired` take their means by them, `constraint`
/// keeps its budget of them. L_g is then a part of a whole; a term whose items have no losses of
/// their own (kOneLoss) is refused by check_run.
///
/// Papers: Sagawa et al. 2019, arXiv:1911.08731, algorithm 1; Ramesh et al. 2024, arXiv:2405.20304,
/// for preferences. There q moves before the step; here after it, so that losses of one pass serve
/// both. The least weight is ours.
class GroupWeights {
 public:
  /// @param eta      Step of the weights, above 0.
  /// @param shares   p_g by tag; a tag may have none of a unit of which it has no item.
  /// @param weights  q_g by tag, where an older start left them; empty: all alike.
  /// @throws Error   If the weights are of other tags.
  GroupWeights(double eta, TagShares shares, const std::map<std::string, double>& weights);

  /// Multiplies the weights of a batch's items by q_g / p_g. The sums that losses are divided by,
  /// batch.weights, stay as they are.
  void scale(PreferenceBatch& batch) const;
  /// Collects the losses of a step's batches. See StepParts::hear.
  void hear(const objective::Objective& objective,
            std::span<const PreferenceBatch> batches,
            const objective::ObjectiveOutput& out);
  /// Moves the weights by what was heard since the last time.
  void move();

  [[nodiscard]] const std::map<std::string, double>& weights() const {
    return weights_;
  }

 private:
  struct Mean {
    double sum = 0;
    double weight = 0;
  };

  double eta_;
  TagShares shares_;
  std::map<std::string, double> weights_;
  std::map<std::string, std::vector<Mean>> heard_;  ///< By tag: one a term.
};

}  // namespace attune::train
