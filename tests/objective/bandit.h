// A policy that is a table: one prompt, a few answers, known rewards, exact expectations.
#pragma once

#include <cmath>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>

#include "tests/objective/support.h"

namespace attune::tests {

/// log of the normalised exponentials.
inline std::vector<double> normalised(std::vector<double> logits) {
  double total = 0;
  for (const double x : logits) {
    total += std::exp(x);
  }
  for (double& x : logits) {
    x -= std::log(total);
  }
  return logits;
}

/// Where a rising function is 0, between -50 and 50.
template <class Function>
double root(Function&& rising) {
  double low = -50;
  double high = 50;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (rising(middle) > 0 ? high : low) = middle;
  }
  return low;
}

struct Training {
  int steps = 1500;
  double lr = 0.05;     ///< At first.
  bool falling = true;  ///< To 0, with the square of the steps left.
};

/// The log-probs of a policy of f32 logits, all 0 at first, after Adam on `loss`, a function of
/// the log-probs.
template <class Loss>
std::vector<double> trained(size_t answers, Loss&& loss, const Training& training = {}) {
  std::vector<double> logits(answers, 0), m(answers, 0), v(answers, 0);
  for (int t = 1; t <= training.steps; ++t) {
    at::Tensor theta = f64(logits).to(at::kFloat).set_requires_grad(true);
    loss(at::log_softmax(theta, 0)).backward();
    const std::vector<double> g = numbers(theta.grad());
    const double left = 1 - static_cast<double>(t) / (training.steps + 1);
    const double rate = training.lr * (training.falling ? left * left : 1);
    for (size_t i = 0; i < answers; ++i) {
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
      logits[i] -= rate * (m[i] / (1 - std::pow(0.9, t))) /
                   (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-8);
    }
  }
  return normalised(logits);
}

}  // namespace attune::tests
