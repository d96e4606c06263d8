#include "attune/objective/beta_dpo.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include "attune/objective/labels.h"
#include "attune/objective/term.h"

namespace attune::objective {
namespace {

constexpr double kSmallestBeta = 1e-3;
constexpr double kSmallestDeviation = 1e-6;  // nats: margins that are all equal are not odd

std::vector<double> numbers(const at::Tensor& x_P) {
  const at::Tensor x = x_P.detach().to(at::kCPU, at::kDouble).contiguous();
  const auto* data = x.const_data_ptr<double>();
  return {data, data + x.numel()};
}

double mean_of(const std::vector<double>& x, const std::vector<double>& weight) {
  double sum = 0;
  double total = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sum += weight[i] * x[i];
    total += weight[i];
  }
  return sum / total;
}

struct Moments {
  double mean = 0;
  double deviation = 0;
};

Moments moments_of(const std::vector<double>& x, const std::vector<double>& weight) {
  const double mean = mean_of(x, weight);
  std::vector<double> square;
  for (const double value : x) {
    square.push_back((value - mean) * (value - mean));
  }
  return {mean, std::sqrt(mean_of(square, weight))};
}

// min(1, c e^log_g), with c such that the kept weight is `share` of all: whoever passes 1 is set to
// 1, until nobody does.
std::vector<double> kept(const std::vector<double>& log_g,
                         const std::vector<double>& weight,
                         double share) {
  const size_t P = log_g.size();
  std::vector<double> keep(P, 0);
  std::vector<bool> full(P, false);
  double left = share * std::accumulate(weight.begin(), weight.end(), 0.0);
  for (bool more = true; more;) {
    more = false;
    double most = -std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < P; ++i) {
      most = full[i] || weight[i] == 0 ? most : std::max(most, log_g[i]);
    }
    double sum = 0;
    for (size_t i = 0; i < P; ++i) {
      sum += full[i] || weight[i] == 0 ? 0 : weight[i] * std::exp(log_g[i] - most);
    }
    const double c = sum > 0 ? std::max(left, 0.0) / sum : 0;
    for (size_t i = 0; i < P; ++i) {
      if (full[i] || weight[i] == 0) {
        continue;
      }
      keep[i] = c * std::exp(log_g[i] - most);
      if (keep[i] >= 1) {
        keep[i] = 1;
        full[i] = true;
        left -= weight[i];
        more = true;
      }
    }
  }
  return keep;
}

}  // namespace

TermOutput loss(const TermInput& in, const BetaDpoOptions& options) {
  const at::Tensor h_S = log_ratio(in);
  const at::Tensor D_P = difference(h_S, in);
  const Comparisons& pairs = in.feedback.pairs;
  const std::vector<double> margin = numbers((2 * pairs.probability_P - 1) * D_P);
  const std::vector<double> weight = numbers(pairs.weight_P);
  const Moments here = moments_of(margin, weight);
  const bool known = in.state != nullptr && !in.state->empty();
  const Moments usual = known ? Moments{in.state->at("mean"), in.state->at("deviation")} : here;

  std::vector<double> log_g;
  for (const double D : margin) {
    const double off = (D - usual.mean) / std::max(usual.deviation, kSmallestDeviation);
    log_g.push_back(-off * off / 2);
  }
  const std::vector<double> keep = kept(log_g, weight, 1 - options.filter);
  std::vector<double> kept_weight;
  at::Tensor keep_P = at::empty({D_P.size(0)}, at::kDouble);
  for (size_t i = 0; i < keep.size(); ++i) {
    kept_weight.push_back(keep[i] * weight[i]);
    keep_P.data_ptr<double>()[i] = keep[i] / (1 - options.filter);
  }
  const double ahead = mean_of(margin, kept_weight) - usual.mean;
  const double beta = std::max(kSmallestBeta, options.beta * (1 + options.alpha * ahead));
  if (in.training && in.state != nullptr) {
    const double m = known ? options.momentum : 0;
    *in.state = {{"mean", m * usual.mean + (1 - m) * here.mean},
                 {"deviation", m * usual.deviation + (1 - m) * here.deviation}};
  }
  keep_P = keep_P.to(D_P.options());
  return {.loss_I = keep_P * logistic_loss(beta * D_P, pairs.probability_P),
          .reward_S = (beta * h_S).detach(),
          .figures = {{"beta", beta}}};
}

}  // namespace attune::objective
