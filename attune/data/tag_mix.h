// Which groups an epoch is made of when tags are mixed by other shares than the data has.
#pragma once

#include <cstdint>
#include <vector>

namespace attune::data {

/// Mixes tags by temperature. An epoch is as many draws of groups as there are groups; a tag with n
/// groups gets the share
///
///   n^(1/T) / sum over the tags of n^(1/T)
///
/// of them, to the nearest whole numbers, and never none: T = 1 is the data as it is, a large T
/// equal shares (Devlin 2019, multilingual BERT; Arivazhagan et al. 2019, arXiv:1907.05019, sec.
/// 4.2). The draws of a tag go through its groups without putting back: each pass is an order of
/// its own, and an epoch goes on where the one before it stopped. So over the epochs all groups of
/// a tag come equally often; within one, a large tag's are left out in part and a small tag's come
/// several times. A pure function of seed and epoch.
class TagMix {
 public:
  /// @param tag_per_group  A number for the tag of each group, 0 or more; at least one group.
  /// @param temperature    T, at least 1.
  /// @param shuffle        False: passes are in the order of the data, and the tags evenly spread.
  TagMix(const std::vector<int32_t>& tag_per_group,
         double temperature,
         bool shuffle,
         uint64_t seed);

  /// Draws of each tag in one epoch; they sum to the number of groups.
  [[nodiscard]] const std::vector<int64_t>& draws() const {
    return draws_;
  }
  /// The groups of an epoch, in its order.
  [[nodiscard]] std::vector<int64_t> epoch(int64_t number) const;

 private:
  std::vector<std::vector<int64_t>> groups_;  ///< Of each tag.
  std::vector<int64_t> draws_;
  bool shuffle_;
  uint64_t key_;
};

}  // namespace attune::data
