#include "attune/data/sampler.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "attune/core/error.h"
#include "attune/core/random.h"

namespace attune::data {

StepSampler::StepSampler(std::vector<int32_t> comparisons_per_group,
                         int64_t comparisons_per_step,
                         bool shuffle,
                         uint64_t seed,
                         bool drop_last,
                         std::optional<TagMix> mix)
    : comparisons_(std::move(comparisons_per_group)),
      per_step_(comparisons_per_step),
      shuffle_(shuffle),
      key_(stream_key(seed, "shuffle")),
      mix_(std::move(mix)) {
  check(!comparisons_.empty(), "there is no group to train on");
  check(per_step_ > 0, "comparisons per step must be > 0, got {}", per_step_);
  for (int32_t& count : comparisons_) {
    // No group spans more than one cut, so that every step gets a group whatever the order.
    count = static_cast<int32_t>(std::min<int64_t>(std::max(count, 1), per_step_));
    total_ += count;
  }
  steps_ = drop_last ? total_ / per_step_ : (total_ + per_step_ - 1) / per_step_;
  check(steps_ > 0,
        "the data has {} comparisons, less than the {} of one step, and the last, smaller step is "
        "dropped. Ask for smaller steps or keep the last one",
        total_,
        per_step_);
}

int64_t StepSampler::steps_per_epoch() const {
  return steps_;
}

std::vector<int64_t> StepSampler::groups_of(int64_t step) const {
  ensure(step >= 0, "groups_of: step {}", step);
  const int64_t number = step / steps_;
  if (epoch_.number != number) {
    epoch_ = arrange(number);
  }
  const auto at = epoch_.step_at.begin() + step % steps_;
  if (!epoch_.order.empty()) {
    return {epoch_.order.begin() + at[0], epoch_.order.begin() + at[1]};
  }
  std::vector<int64_t> groups(static_cast<size_t>(at[1] - at[0]));
  std::iota(groups.begin(), groups.end(), at[0]);
  return groups;
}

std::vector<int64_t> StepSampler::order_of(int64_t number) const {
  if (mix_) {
    return mix_->epoch(number);
  }
  if (shuffle_) {
    return shuffled(static_cast<int64_t>(comparisons_.size()),
                    random_word(key_, static_cast<uint64_t>(number)));
  }
  return {};
}

StepSampler::Epoch StepSampler::arrange(int64_t number) const {
  Epoch epoch;
  epoch.number = number;
  epoch.order = order_of(number);
  const auto count =
      static_cast<int64_t>(epoch.order.empty() ? comparisons_.size() : epoch.order.size());
  const auto comparisons_at = [&](int64_t place) {
    const auto at = static_cast<size_t>(place);
    return comparisons_[epoch.order.empty() ? at : static_cast<size_t>(epoch.order[at])];
  };
  int64_t drawn = 0;
  for (int64_t place = 0; place < count; ++place) {
    drawn += comparisons_at(place);
  }
  epoch.step_at.reserve(static_cast<size_t>(steps_) + 1);
  int64_t before = 0;
  for (int64_t place = 0; place < count; ++place) {
    before += comparisons_at(place);
    int64_t step = (before - 1) / per_step_;  // that the group's last comparison falls in
    if (drawn != total_) {
      // Every step gets a group: none is passed over, and enough are left for those that follow.
      const auto begun = static_cast<int64_t>(epoch.step_at.size());
      step = (before - 1) * steps_ / drawn;
      step = std::max(std::min(step, begun), steps_ - (count - place));
    }
    while (static_cast<int64_t>(epoch.step_at.size()) <= step) {
      epoch.step_at.push_back(place);
    }
  }
  epoch.step_at.push_back(count);
  return epoch;
}

}  // namespace attune::data
