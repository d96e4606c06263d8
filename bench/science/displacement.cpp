#include "bench/science/displacement.h"

#include <cmath>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mv.h>

#include "attune/optim/adamw.h"

#include "bench/science/one_thread.h"

namespace attune::science {
namespace {

constexpr int64_t kTokens = 50, kWidth = 32;

at::Tensor normals(RandomStream& random, at::IntArrayRef sizes) {
  at::Tensor made = at::empty(sizes, at::kDouble);
  for (int64_t i = 0; i < made.numel(); ++i) {
    made.data_ptr<double>()[i] = random.normal() / std::sqrt(static_cast<double>(kWidth));
  }
  return made;
}

}  // namespace

Displacement displace(Method method, uint64_t seed, int steps, double closeness) {
  const OneThread one_thread;
  RandomStream random(stream_key(seed, "displacement"));
  const at::Tensor embedding_VD = normals(random, {kTokens, kWidth});
  const at::Tensor noise_D = normals(random, {kWidth});
  // Token 0 wins over token 1.
  embedding_VD[1].copy_(closeness * embedding_VD[0] +
                        std::sqrt(1 - closeness * closeness) * noise_D);
  at::Tensor hidden_D = normals(random, {kWidth}) * std::sqrt(static_cast<double>(kWidth));
  const auto pair_logps = [&] {
    return at::log_softmax(embedding_VD.mv(hidden_D), 0).slice(0, 0, 2);
  };
  const at::Tensor reference_S = pair_logps();
  hidden_D.set_requires_grad(true);

  const at::TensorOptions floats = at::kDouble;
  const at::Tensor one = at::full({1}, 1, floats);
  const at::Tensor zero_index = at::full({1}, 0, at::kLong);
  const at::Tensor count_S = at::full({2}, 1, floats);
  const optim::OptimOptions adam;
  optim::AdamW optimizer({hidden_D}, adam);
  for (int step = 0; step < steps; ++step) {
    const at::Tensor policy_S = pair_logps();
    const objective::TermInput in{.policy = {.sum_S = policy_S, .count_S = count_S},
                                  .reference = {.sum_S = reference_S, .count_S = count_S},
                                  .feedback = {.pairs = {zero_index, zero_index + 1, one, one}},
                                  .training = true};
    method.loss(in, {.pair = 1}, &method.state).backward();
    optimizer.step(/*lr=*/0.05);
    optimizer.zero_grad();
  }
  const at::Tensor change_S = (pair_logps() - reference_S).detach();
  const double winner = change_S[0].item<double>();
  return {.winner_change = winner, .margin = winner - change_S[1].item<double>()};
}

}  // namespace attune::science
