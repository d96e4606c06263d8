#include "attune/objective/aot_unpaired.h"

#include <algorithm>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/zeros.h>

#include "attune/objective/term.h"

namespace attune::objective {
namespace {

// One side from its lowest log-ratio up. Completions of one log-ratio are one atom together, so
// that no order among them is made up.
struct Side {
  std::vector<int64_t> member;  // indices into the S completions
  std::vector<int64_t> atom;    // of each member; never falls
  std::vector<double> part;     // of its atom that each member is
  std::vector<double> share;    // of the side that each atom is
};

// What is compared with what, and the share of the quantiles that it stands for: 1 in all.
struct Matching {
  std::vector<int64_t> desirable, undesirable;  // atoms
  std::vector<double> share;
};

Side side_of(const double* h, const double* label, const double* weight, int64_t S, int sign) {
  Side side;
  double total = 0;
  for (int64_t s = 0; s < S; ++s) {
    if (label[s] * sign > 0 && weight[s] > 0) {
      side.member.push_back(s);
      total += weight[s];
    }
  }
  std::stable_sort(
      side.member.begin(), side.member.end(), [h](int64_t a, int64_t b) { return h[a] < h[b]; });
  std::vector<double> weights;  // of the atoms
  for (size_t i = 0; i < side.member.size(); ++i) {
    const int64_t s = side.member[i];
    if (i == 0 || h[s] != h[side.member[i - 1]]) {
      weights.push_back(0);
    }
    weights.back() += weight[s];
    side.atom.push_back(static_cast<int64_t>(weights.size()) - 1);
  }
  for (size_t i = 0; i < side.member.size(); ++i) {
    side.part.push_back(weight[side.member[i]] / weights[static_cast<size_t>(side.atom[i])]);
  }
  for (const double w : weights) {
    side.share.push_back(w / total);
  }
  return side;
}

// The quantile functions of both sides are steps; walks along them from 0 to 1.
Matching match(const Side& above, const Side& below) {
  Matching matching;
  double left_a = 0;  // of the share of the step that each side stands on
  double left_b = 0;
  size_t a = 0;
  size_t b = 0;
  constexpr double kNothing = 1e-12;  // what rounding leaves of a share
  while (true) {
    if (left_a <= kNothing) {
      if (a == above.share.size()) {
        return matching;
      }
      left_a = above.share[a++];
    }
    if (left_b <= kNothing) {
      if (b == below.share.size()) {
        return matching;
      }
      left_b = below.share[b++];
    }
    const double share = std::min(left_a, left_b);
    matching.desirable.push_back(static_cast<int64_t>(a) - 1);
    matching.undesirable.push_back(static_cast<int64_t>(b) - 1);
    matching.share.push_back(share);
    left_a -= share;
    left_b -= share;
  }
}

template <class T>
at::Tensor list(const std::vector<T>& from, const at::TensorOptions& like) {
  at::Tensor to =
      at::empty({static_cast<int64_t>(from.size())}, c10::CppTypeToScalarType<T>::value);
  std::copy(from.begin(), from.end(), to.template data_ptr<T>());
  return to.to(like);
}

// The log-ratio of each atom, its slope shared by its members.
at::Tensor of_atoms(const at::Tensor& h_S, const Side& side) {
  const auto index = h_S.options().dtype(at::kLong);
  const at::Tensor h_M =
      h_S.index_select(0, list(side.member, index)) * list(side.part, h_S.options());
  return at::zeros({static_cast<int64_t>(side.share.size())}, h_S.options())
      .index_add(0, list(side.atom, index), h_M);
}

}  // namespace

TermOutput loss(const TermInput& in, const AotUnpairedOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  const auto plain = [](const at::Tensor& x_S) {
    return x_S.detach().to(at::kCPU, at::kDouble).contiguous();
  };
  const at::Tensor h = plain(h_S);
  const at::Tensor label = plain(in.feedback.label_S);
  const at::Tensor weight = plain(in.feedback.label_weight_S);
  const auto side = [&](int sign) {
    return side_of(h.const_data_ptr<double>(),
                   label.const_data_ptr<double>(),
                   weight.const_data_ptr<double>(),
                   h.size(0),
                   sign);
  };
  const Side above = side(1);
  const Side below = side(-1);
  const Matching matching = match(above, below);
  const auto index = h_S.options().dtype(at::kLong);
  const at::Tensor a_M = of_atoms(h_S, above).index_select(0, list(matching.desirable, index));
  const at::Tensor b_M = of_atoms(h_S, below).index_select(0, list(matching.undesirable, index));
  const at::Tensor each_M = at::log_sigmoid(options.beta * (a_M - b_M));
  const at::Tensor total = -(list(matching.share, h_S.options()) * each_M).sum();
  return {.loss_I = total.expand({h_S.size(0)}), .reward_S = (options.beta * h_S).detach()};
}

}  // namespace attune::objective
