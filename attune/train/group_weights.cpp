#include "attune/train/group_weights.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <ATen/core/Tensor.h>

#include "attune/core/error.h"

namespace attune::train {
namespace {

using objective::Unit;

// The least weight of a tag, as a part of an equal share.
constexpr double kLeast = 1e-6;

// The packed group of each item of a unit.
std::vector<size_t> groups_of(Unit unit, const PreferenceBatch& batch) {
  std::vector<size_t> groups;
  if (unit == Unit::kGroup) {
    for (size_t g = 0; g < batch.groups.size(); ++g) {
      groups.push_back(g);
    }
  } else if (unit == Unit::kLabel) {
    groups.assign(batch.group_S.begin(), batch.group_S.end());
  } else {
    const at::Tensor& winner_P = batch.feedback.pairs.winner_P;
    const auto* winner = winner_P.const_data_ptr<int64_t>();
    for (int64_t p = 0; p < winner_P.size(0); ++p) {
      groups.push_back(static_cast<size_t>(batch.group_S[static_cast<size_t>(winner[p])]));
    }
  }
  return groups;
}

const at::Tensor& weights_of(Unit unit, const PreferenceBatch& batch) {
  return unit == Unit::kPair    ? batch.feedback.pairs.weight_P
         : unit == Unit::kLabel ? batch.feedback.label_weight_S
                                : batch.feedback.group_weight_G;
}

}  // namespace

GroupWeights::GroupWeights(double eta,
                           TagShares shares,
                           const std::map<std::string, double>& weights)
    : eta_(eta), shares_(std::move(shares)), weights_(weights) {
  if (weights_.empty()) {
    for (const auto& [tag, share] : shares_) {
      weights_[tag] = 1.0 / static_cast<double>(shares_.size());
    }
  }
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  check(std::equal(weights_.begin(), weights_.end(), shares_.begin(), shares_.end(), same),
        "data.group_robust: the checkpoint has weights of other tags than the data");
}

void GroupWeights::scale(PreferenceBatch& batch) const {
  for (const Unit unit : {Unit::kPair, Unit::kLabel, Unit::kGroup}) {
    const std::vector<size_t> groups = groups_of(unit, batch);
    auto* weight = weights_of(unit, batch).data_ptr<double>();
    for (size_t i = 0; i < groups.size(); ++i) {
      const std::string& tag = batch.tags[groups[i]];
      if (weight[i] > 0) {
        weight[i] *= weights_.at(tag) / shares_.at(tag).of(unit);
      }
    }
  }
}

void GroupWeights::hear(const objective::Objective& objective,
                        std::span<const PreferenceBatch> batches,
                        const objective::ObjectiveOutput& out) {
  const size_t terms = objective.terms().size();
  for (size_t k = 0; k < terms; ++k) {
    if (!out.losses[k].defined()) {
      continue;
    }
    const Unit unit = objective.terms()[k].needs.unit;
    const at::Tensor losses = out.losses[k].to(at::kCPU, at::kDouble).contiguous();
    const auto* loss = losses.const_data_ptr<double>();
    for (const PreferenceBatch& batch : batches) {
      const auto* weight = weights_of(unit, batch).const_data_ptr<double>();
      const std::vector<size_t> groups = groups_of(unit, batch);
      for (size_t i = 0; i < groups.size(); ++i) {
        // A tag's items are all scaled alike, which its mean does not see.
        std::vector<Mean>& means = heard_[batch.tags[groups[i]]];
        means.resize(terms);
        if (weight[i] > 0) {
          means[k].sum += weight[i] * loss[i];
          means[k].weight += weight[i];
        }
      }
      loss += groups.size();
    }
  }
}

void GroupWeights::move() {
  std::map<std::string, double> logs;
  double largest = -INFINITY;
  for (const auto& [tag, weight] : weights_) {
    double loss = 0;
    for (const Mean& mean : heard_[tag]) {
      loss += mean.weight > 0 ? mean.sum / mean.weight : 0;
    }
    logs[tag] = std::log(weight) + eta_ * loss;
    largest = std::max(largest, logs[tag]);
  }
  const auto divide = [this] {
    double sum = 0;
    for (const auto& [tag, weight] : weights_) {
      sum += weight;
    }
    for (auto& [tag, weight] : weights_) {
      weight /= sum;
    }
  };
  for (auto& [tag, weight] : weights_) {
    weight = std::exp(logs[tag] - largest);
  }
  divide();
  for (auto& [tag, weight] : weights_) {
    weight = std::max(weight, kLeast / static_cast<double>(weights_.size()));
  }
  divide();
  heard_.clear();
}

}  // namespace attune::train
