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
                         bool drop_last)
    : comparisons_(std::move(comparisons_per_group)),
      per_step_(comparisons_per_step),
      shuffle_(shuffle),
      key_(stream_key(seed, "shuffle")) {
  check(!comparisons_.empty(), "there is no group to train on");
  check(per_step_ > 0, "comparisons per step must be > 0, got {}", per_step_);
  int64_t total = 0;
  for (int32_t& count : comparisons_) {
    // No group spans more than one cut, so that every step gets a group whatever the order.
    count = static_cast<int32_t>(std::min<int64_t>(std::max(count, 1), per_step_));
    total += count;
  }
  steps_ = drop_last ? total / per_step_ : (total + per_step_ - 1) / per_step_;
  check(steps_ > 0,
        "the data has {} comparisons, less than the {} of one step, and the last, smaller step is "
        "dropped. Ask for smaller steps or keep the last one",
        total,
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
  return {epoch_.order.begin() + at[0], epoch_.order.begin() + at[1]};
}

StepSampler::Epoch StepSampler::arrange(int64_t number) const {
  Epoch epoch;
  epoch.number = number;
  const auto count = static_cast<int64_t>(comparisons_.size());
  if (shuffle_) {
    epoch.order = shuffled(count, random_word(key_, static_cast<uint64_t>(number)));
  } else {
    epoch.order.resize(comparisons_.size());
    std::iota(epoch.order.begin(), epoch.order.end(), int64_t{0});
  }
  int64_t before = 0;
  int64_t place = 0;
  for (const int64_t group : epoch.order) {
    before += comparisons_[group];
    const int64_t step = (before - 1) / per_step_;  // that the group's last comparison falls in
    while (static_cast<int64_t>(epoch.step_at.size()) <= step) {
      epoch.step_at.push_back(place);
    }
    ++place;
  }
  epoch.step_at.push_back(place);
  return epoch;
}

}  // namespace attune::data
