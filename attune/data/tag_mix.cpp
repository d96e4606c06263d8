#include "attune/data/tag_mix.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "attune/core/error.h"
#include "attune/core/random.h"

namespace attune::data {
namespace {

/// Whole numbers that sum to `total`, as near to the shares as can be: largest remainders first.
std::vector<int64_t> apportion(const std::vector<double>& shares, int64_t total) {
  std::vector<int64_t> parts(shares.size());
  std::vector<double> rests(shares.size());
  int64_t left = total;
  for (size_t t = 0; t < shares.size(); ++t) {
    const double exact = shares[t] * static_cast<double>(total);
    parts[t] = shares[t] > 0 ? std::max<int64_t>(1, static_cast<int64_t>(exact)) : 0;
    rests[t] = exact - static_cast<double>(parts[t]);
    left -= parts[t];
  }
  std::vector<size_t> order(shares.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(
      order.begin(), order.end(), [&](size_t a, size_t b) { return rests[a] > rests[b]; });
  for (size_t i = 0; left > 0; i = (i + 1) % order.size()) {
    if (shares[order[i]] > 0) {
      ++parts[order[i]];
      --left;
    }
  }
  // Tags that got their one draw although less was due to them are paid for by the largest.
  for (; left < 0; ++left) {
    --*std::max_element(parts.begin(), parts.end());
  }
  return parts;
}

}  // namespace

TagMix::TagMix(const std::vector<int32_t>& tag_per_group,
               double temperature,
               bool shuffle,
               uint64_t seed)
    : shuffle_(shuffle), key_(stream_key(seed, "tags")) {
  check(!tag_per_group.empty(), "there is no group to train on");
  check(temperature >= 1, "data.tag_temperature must be >= 1, got {}", temperature);
  for (size_t g = 0; g < tag_per_group.size(); ++g) {
    ensure(tag_per_group[g] >= 0, "TagMix: group {} has no tag", g);
    const auto tag = static_cast<size_t>(tag_per_group[g]);
    groups_.resize(std::max(groups_.size(), tag + 1));
    groups_[tag].push_back(static_cast<int64_t>(g));
  }
  // exp(log n / T) relative to the largest tag, so that no count overflows.
  double largest = 0;
  for (const auto& members : groups_) {
    largest = std::max(largest, static_cast<double>(members.size()));
  }
  std::vector<double> shares;
  for (const auto& members : groups_) {
    const double size = static_cast<double>(members.size());
    shares.push_back(size > 0 ? std::exp(std::log(size / largest) / temperature) : 0);
  }
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& share : shares) {
    share /= sum;
  }
  draws_ = apportion(shares, static_cast<int64_t>(tag_per_group.size()));
}

std::vector<int64_t> TagMix::epoch(int64_t number) const {
  struct Draw {
    double place;  // in [0, 1): where in the epoch a tag's draws fall, evenly spread
    int64_t group;
  };
  std::vector<Draw> all;
  for (size_t t = 0; t < groups_.size(); ++t) {
    const auto size = static_cast<int64_t>(groups_[t].size());
    const uint64_t tag_key = random_word(key_, static_cast<uint64_t>(t));
    std::vector<int64_t> order;
    int64_t pass = -1;
    for (int64_t i = 0; i < draws_[t]; ++i) {
      const int64_t draw = number * draws_[t] + i;
      if (draw / size != pass) {
        pass = draw / size;
        order = shuffle_ ? shuffled(size, random_word(tag_key, static_cast<uint64_t>(pass)))
                         : std::vector<int64_t>();
      }
      const int64_t member = shuffle_ ? order[static_cast<size_t>(draw % size)] : draw % size;
      all.push_back({(static_cast<double>(i) + 0.5) / static_cast<double>(draws_[t]),
                     groups_[t][static_cast<size_t>(member)]});
    }
  }
  std::vector<int64_t> groups;
  if (shuffle_) {
    const uint64_t epoch_key = random_word(mix64(key_), static_cast<uint64_t>(number));
    for (const int64_t i : shuffled(static_cast<int64_t>(all.size()), epoch_key)) {
      groups.push_back(all[static_cast<size_t>(i)].group);
    }
    return groups;
  }
  std::stable_sort(
      all.begin(), all.end(), [](const Draw& a, const Draw& b) { return a.place < b.place; });
  for (const Draw& draw : all) {
    groups.push_back(draw.group);
  }
  return groups;
}

}  // namespace attune::data
