// The laboratory's experiments: each trains some methods over several seeds and reports.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/science/preference_lab.h"
#include "bench/science/table.h"

namespace attune::science {

/// What an experiment found.
struct Report {
  std::string markdown;  ///< Tables, each beside the reference's figures.
  std::string svg;       ///< One chart.
};

struct Experiment {
  std::string_view name;
  std::string_view summary;
  Report (*run)(int seeds);
};

/// All of them, in the order of docs/PAPERS.md.
std::span<const Experiment> experiments();

Report run_frontier(int seeds);
Report run_noise(int seeds);
Report run_labels(int seeds);
Report run_certain(int seeds);
Report run_unpaired(int seeds);
Report run_length(int seeds);
Report run_tokens(int seeds);
Report run_displacement(int seeds);

/// What does not change between the methods of an experiment.
struct Setting {
  WorldOptions world = {};
  FeedbackOptions feedback = {};
  TrainOptions train = {};
};

/// A method's outcomes, one a seed; each seed has a world, data and an order of its own, the same
/// for every method.
using Outcomes = std::vector<Outcome>;

/// @param seeds  Worlds 0 .. seeds - 1.
Outcomes run_seeds(const Setting& setting, const Method& method, int seeds);

/// Over the seeds, the mean of what `value` takes from an outcome.
Estimate over(const Outcomes& outcomes, const std::function<double(const Outcome&)>& value);
Estimate over(const Outcomes& outcomes, double Outcome::*value);
/// Over the seeds, the mean of a / b, seed by seed.
Estimate ratio(const Outcomes& a, const Outcomes& b, double Outcome::*value);

/// Exact numbers of an outcome, for over().
inline double kl_of(const Outcome& outcome) {
  return outcome.exact.kl;
}
inline double tokens_of(const Outcome& outcome) {
  return outcome.exact.tokens;
}

}  // namespace attune::science
