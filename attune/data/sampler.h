// Which groups an optimizer step averages over: a pure function of the step, so that a resumed run
// needs nothing but its step number.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "attune/data/tag_mix.h"

namespace attune::data {

/// Walks the data set in steps of `comparisons_per_step` comparisons; groups are never cut. An
/// epoch is one order of all groups: the order of the data, or shuffled by the seed and the epoch's
/// number. Lay the comparisons of all groups in that order in one row and cut it every
/// `comparisons_per_step`: a group belongs to the step that its last comparison falls in. So with
/// one comparison a group every step is exactly as large as asked (the last may be smaller), and
/// the number of steps does not depend on the order. A group larger than a step counts as one step.
///
/// Where tags are mixed, an epoch is what TagMix draws: as many groups, not each of them once, in
/// as many steps. If the groups drawn have more or fewer comparisons than all groups, the steps
/// share them out evenly.
class StepSampler {
 public:
  /// @param comparisons_per_group  One entry per group; a group without comparisons (an unpaired
  ///                               completion with a label) counts as one.
  /// @param comparisons_per_step   What a step averages over, > 0.
  /// @param drop_last              Leave out an epoch's last step if it is smaller than asked.
  /// @param mix                    Draws the groups of an epoch; nothing: each of them once.
  /// @throws Error  If there is no group, or every step would be dropped.
  StepSampler(std::vector<int32_t> comparisons_per_group,
              int64_t comparisons_per_step,
              bool shuffle,
              uint64_t seed,
              bool drop_last,
              std::optional<TagMix> mix = std::nullopt);

  /// Steps of one epoch; the same in every epoch.
  [[nodiscard]] int64_t steps_per_epoch() const;
  /// Indices of the groups of `step`, counted from 0 over all epochs: epoch = step /
  /// steps_per_epoch(). Any step may be asked for at any time, from one thread.
  [[nodiscard]] std::vector<int64_t> groups_of(int64_t step) const;

 private:
  struct Epoch {
    int64_t number = -1;
    std::vector<int64_t> order;    ///< Groups in the order of this epoch; empty: the data's.
    std::vector<int64_t> step_at;  ///< Where each step begins in `order`; one more entry ends it.
  };
  [[nodiscard]] Epoch arrange(int64_t number) const;
  [[nodiscard]] std::vector<int64_t> order_of(int64_t number) const;

  std::vector<int32_t> comparisons_;
  int64_t per_step_;
  bool shuffle_;
  uint64_t key_;
  std::optional<TagMix> mix_;
  int64_t total_ = 0;  ///< Comparisons of all groups, each counted once.
  int64_t steps_ = 0;
  mutable Epoch epoch_;  ///< The one asked for last: a memo, never a state.
};

}  // namespace attune::data
