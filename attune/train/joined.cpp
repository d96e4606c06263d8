#include "attune/train/joined.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include "attune/core/error.h"

namespace attune::train {
namespace {

using objective::Feedback;
using objective::SequenceLogps;

// One after the other; undefined if they are, which they are all or none.
template <class T, class Part>
at::Tensor joined(const std::vector<T>& from, Part part) {
  std::vector<at::Tensor> list;
  for (const T& one : from) {
    if (const at::Tensor tensor = part(one); tensor.defined()) {
      list.push_back(tensor);
    }
  }
  ensure(list.empty() || list.size() == from.size(), "join: {} of {}", list.size(), from.size());
  return list.empty() ? at::Tensor() : at::cat(list);
}

// The same of indices, each list moved by what came before it.
template <class Part, class Size>
at::Tensor shifted(const std::vector<Feedback>& from, Part part, Size size) {
  int64_t before = 0;
  std::vector<at::Tensor> list;
  for (const Feedback& one : from) {
    list.push_back(part(one) + before);
    before += size(one);
  }
  return at::cat(list);
}

SequenceLogps join(const std::vector<SequenceLogps>& from) {
  const auto of = [&](auto member) {
    return joined(from, [member](const auto& one) {
      const at::Tensor& tensor = one.*member;
      return tensor.defined() ? tensor.detach() : tensor;
    });
  };
  return {.sum_S = of(&SequenceLogps::sum_S),
          .count_S = of(&SequenceLogps::count_S),
          .token_C = of(&SequenceLogps::token_C),
          .divergence_S = of(&SequenceLogps::divergence_S),
          .concentration_C = of(&SequenceLogps::concentration_C)};
}

}  // namespace

void Joined::add(const PreferenceBatch& batch,
                 const SequenceLogps& policy,
                 const SequenceLogps& reference) {
  policy_.push_back(policy);
  reference_.push_back(reference);
  feedback_.push_back(batch.feedback);
}

objective::TermInput Joined::input() const {
  const auto sequences = [](const Feedback& f) { return f.label_S.size(0); };
  const auto groups = [](const Feedback& f) { return f.group_weight_G.size(0); };
  const auto plain = [&](auto member) {
    return joined(feedback_, [member](const Feedback& f) { return f.*member; });
  };
  const auto of_pairs = [&](auto member) {
    return joined(feedback_, [member](const Feedback& f) { return f.pairs.*member; });
  };
  using objective::Comparisons;
  Feedback all{
      .pairs = {.winner_P = shifted(
                    feedback_, [](const Feedback& f) { return f.pairs.winner_P; }, sequences),
                .loser_P = shifted(
                    feedback_, [](const Feedback& f) { return f.pairs.loser_P; }, sequences),
                .probability_P = of_pairs(&Comparisons::probability_P),
                .weight_P = of_pairs(&Comparisons::weight_P)},
      .label_S = plain(&Feedback::label_S),
      .label_weight_S = plain(&Feedback::label_weight_S),
      .rank_S = plain(&Feedback::rank_S),
      .group_S = shifted(
          feedback_, [](const Feedback& f) { return f.group_S; }, groups),
      .group_weight_G = plain(&Feedback::group_weight_G),
      .score_S = plain(&Feedback::score_S),
      .mismatched_S = plain(&Feedback::mismatched_S),
      .sequence_C = shifted(
          feedback_, [](const Feedback& f) { return f.sequence_C; }, sequences),
      .values = {}};
  if (!feedback_.empty()) {
    for (const auto& [column, ignored] : feedback_[0].values) {
      all.values[column] =
          joined(feedback_, [&](const Feedback& f) { return f.values.at(column); });
    }
  }
  return {.policy = join(policy_), .reference = join(reference_), .feedback = std::move(all)};
}

}  // namespace attune::train
