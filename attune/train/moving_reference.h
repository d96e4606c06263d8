// A reference that follows the policy.
#pragma once

#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "attune/train/reference.h"

namespace attune::train {

/// A model of its own that is pulled to the policy now and then:
///
///   W_ref <- mix W + (1 - mix) W_ref,   W = W0 + scale B A where the policy carries an adapter
///
/// mix 1 is a hard copy. What is mixed is the whole update of each matrix: the mean of two products
/// B A is not the product of the means.
///
/// Paper: Gorbatovski et al. 2024, arXiv:2404.09656, the soft and the hard update.
class MovingReference : public Reference {
 public:
  /// @param start   Where it starts. @throws Error if its weights are not of the policy's shapes.
  /// @param policy  What it follows; must outlive it.
  /// @param mix     In (0, 1].
  /// @param needs   As base_reference's.
  MovingReference(std::unique_ptr<model::Decoder> start,
                  model::Decoder& policy,
                  double mix,
                  const objective::Needs& needs = {});

  objective::SequenceLogps logps(const PreferenceBatch& batch) override;
  HeadRows rows(const PreferenceBatch& batch) override;

  /// One update of all weights. Those that change are kept in f32 from then on.
  void sync();

  /// Writes the weights that differ from the start; no file if none does.
  void save(const std::filesystem::path& file) const;
  /// Takes such a file back, to the bit. @throws Error if it is of another model.
  void restore(const std::filesystem::path& file);

 private:
  std::unique_ptr<model::Decoder> model_;
  model::Decoder& policy_;
  double mix_;
  objective::Needs needs_;
  std::set<std::string> changed_;
  std::unique_ptr<Reference> inner_;  // scores with model_
};

/// The policy without its adapter as a model of its own. The weights are shared, not copied.
std::unique_ptr<model::Decoder> base_copy(model::Decoder& policy);

}  // namespace attune::train
