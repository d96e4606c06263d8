#include "bench/science/experiments.h"

#include <array>

#include <fmt/format.h>

namespace attune::science {

std::span<const Experiment> experiments() {
  static constexpr std::array kAll{
      Experiment{"frontier", "reward for KL, method by method", run_frontier},
      Experiment{"noise", "flipped labels", run_noise},
      Experiment{"labels", "probabilities in place of answers", run_labels},
      Experiment{"certain", "preferences without doubt: IPO and DPO", run_certain},
      Experiment{"unpaired", "thumbs up and down: KTO and DPO", run_unpaired},
      Experiment{"length", "labels that favour length", run_length},
      Experiment{"tokens", "token-level DPO", run_tokens},
      Experiment{"displacement", "winners that become less likely", run_displacement},
  };
  return kAll;
}

Outcomes run_seeds(const Setting& setting, const Method& method, int seeds) {
  Outcomes outcomes;
  for (int s = 0; s < seeds; ++s) {
    const auto seed = static_cast<uint64_t>(s);
    const BigramWorld world(setting.world, seed);
    TrainOptions options = setting.train;
    options.seed = seed;
    outcomes.push_back(
        train(world, Frontier(world), ask(world, setting.feedback, seed), method, options));
  }
  fmt::print(stderr, "  {}\n", method.name);
  return outcomes;
}

Estimate over(const Outcomes& outcomes, const std::function<double(const Outcome&)>& value) {
  std::vector<double> values;
  for (const Outcome& outcome : outcomes) {
    values.push_back(value(outcome));
  }
  return estimate(values);
}

Estimate over(const Outcomes& outcomes, double Outcome::*value) {
  return over(outcomes, [value](const Outcome& outcome) { return outcome.*value; });
}

Estimate ratio(const Outcomes& a, const Outcomes& b, double Outcome::*value) {
  std::vector<double> values;
  for (size_t i = 0; i < a.size(); ++i) {
    values.push_back(a[i].*value / (b[i].*value));
  }
  return estimate(values);
}

}  // namespace attune::science
