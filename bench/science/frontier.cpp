// Reward for KL, after figure 2 of the DPO paper.
#include <cmath>

#include <fmt/format.h>

#include "bench/science/chart.h"
#include "bench/science/experiments.h"

namespace attune::science {
namespace {

// Four completions a prompt, all six comparisons of them.
const Setting kFour{.feedback = {.groups = 1500, .completions = 4},
                    .train = {.groups_per_step = 16}};
// The same number of comparisons, two completions a prompt.
const Setting kTwo{.feedback = {.groups = 9000, .completions = 2},
                   .train = {.groups_per_step = 96}};

struct Line {
  std::string family;  // a curve of the chart; empty: in the table only
  std::string name;
  std::string objective;
  std::string reference;  // efficiency in the reference
  bool two = false;
};

const std::vector<Line>& lines() {
  static const std::vector<Line> kLines{
      {"DPO", "DPO beta 2", "{kind: dpo, beta: 2}", ".95"},
      {"DPO", "DPO beta 1", "{kind: dpo, beta: 1}", ".95"},
      {"DPO", "DPO beta 0.5", "{kind: dpo, beta: 0.5}", ".95"},
      {"DPO", "DPO beta 0.3", "{kind: dpo, beta: 0.3}", ".95"},
      {"DPO", "DPO beta 0.1", "{kind: dpo, beta: 0.1}", ".91"},
      {"IPO", "IPO tau 1", "{kind: ipo, tau: 1, average: sum}", ".94-.95"},
      {"IPO", "IPO tau 0.3", "{kind: ipo, tau: 0.3, average: sum}", ".94-.95"},
      {"IPO", "IPO tau 0.1", "{kind: ipo, tau: 0.1, average: sum}", ".94-.95"},
      {"hinge", "hinge beta 1", "{kind: hinge, beta: 1}", ".94-.95"},
      {"hinge", "hinge beta 0.3", "{kind: hinge, beta: 0.3}", ".94-.95"},
      {"", "cDPO 0.1, beta 1", "{kind: dpo, beta: 1, label_smoothing: 0.1}", ".94-.95"},
      {"", "cDPO 0.1, beta 0.3", "{kind: dpo, beta: 0.3, label_smoothing: 0.1}", ".94-.95"},
      {"KTO", "KTO beta 1", "{kind: kto, beta: 1}", ".85", true},
      {"KTO", "KTO beta 0.3", "{kind: kto, beta: 0.3}", ".81", true},
      {"KTO", "KTO beta 0.1", "{kind: kto, beta: 0.1}", ".76", true},
      {"preferred-FT", "preferred-FT (nll)", "{kind: nll}", ".77"},
  };
  return kLines;
}

// Methods without a figure in the reference, at one setting each.
const std::vector<Line>& others() {
  static const std::vector<Line> kLines{
      {"", "robust 0.1, beta 0.5", "{kind: robust, beta: 0.5}", ""},
      {"", "f-DPO, Jensen-Shannon, beta 0.5", "{kind: f_dpo, beta: 0.5, divergence: js}", ""},
      {"", "f-DPO, forward KL, beta 0.5", "{kind: f_dpo, beta: 0.5, divergence: forward_kl}", ""},
      {"", "SPPO, hard targets, beta 0.3", "{kind: sppo, beta: 0.3, targets: hard}", ""},
      {"", "DiscoPOP beta 0.5", "{kind: discopop, beta: 0.5}", ""},
      {"", "SLiC delta 1", "{kind: slic}", ""},
      {"", "Plackett-Luce beta 0.5", "{kind: plackett_luce, beta: 0.5}", ""},
      {"", "EXO beta 0.5", "{kind: exo, beta: 0.5}", ""},
      {"", "NCA beta 0.5", "{kind: nca, beta: 0.5}", ""},
      {"", "BCO beta 0.5", "{kind: bco, beta: 0.5}", ""},
      {"", "APO-zero beta 0.5", "{kind: apo_zero, beta: 0.5}", ""},
      {"", "AOT beta 0.5", "{kind: aot, beta: 0.5}", ""},
      {"", "Dr. DPO beta 0.5", "{kind: dr_dpo, beta: 0.5}", ""},
      {"", "beta-DPO beta 0.5", "{kind: beta_dpo, beta: 0.5}", ""},
      {"", "WPO beta 0.5", "{kind: wpo, beta: 0.5}", ""},
      {"", "ODPO beta 0.5", "{kind: odpo, beta: 0.5}", ""},
      {"", "DPOP beta 0.5", "{kind: dpop, beta: 0.5}", ""},
      {"", "length-normalised DPO beta 4", "{kind: dpo_norm, beta: 4}", ""},
      {"", "SimPO beta 2", "{kind: simpo, beta: 2}", ""},
      {"", "CPO beta 0.5", "{kind: cpo, beta: 0.5}", ""},
      {"", "ORPO lambda 1", "{kind: orpo, lambda: 1}", ""},
  };
  return kLines;
}

void add_row(Table& table, const std::string& name, const Outcomes& outcomes, std::string figure) {
  table.add({name,
             over(outcomes, kl_of).text(),
             over(outcomes, &Outcome::gain).text(),
             over(outcomes, &Outcome::efficiency).text(3),
             std::move(figure)});
}

// The best of N draws by the true reward; its KL is the bound log N - (N - 1) / N.
Outcomes best_of(int draws, int seeds) {
  Outcomes outcomes;
  for (int s = 0; s < seeds; ++s) {
    const auto seed = static_cast<uint64_t>(s);
    const BigramWorld world(kFour.world, seed);
    RandomStream random(stream_key(seed, "best of"));
    constexpr int kRounds = 3000;
    double sum = 0;
    for (int i = 0; i < kRounds; ++i) {
      double best = -INFINITY;
      for (int k = 0; k < draws; ++k) {
        const int prompt = i % world.options().prompts;
        best = std::max(best, world.reward(world.sample(world.reference(), prompt, random)));
      }
      sum += best / kRounds;
    }
    Outcome outcome;
    outcome.gain = sum - world.exact(world.reference()).reward;
    outcome.exact.kl = std::log(draws) - (draws - 1.0) / draws;
    outcome.efficiency = outcome.gain / Frontier(world).gain_at(outcome.exact.kl);
    outcomes.push_back(outcome);
  }
  return outcomes;
}

// The mean of the seeds' frontiers.
ChartSeries optimum_curve(double largest_kl, int seeds) {
  ChartSeries curve{.label = "optimum", .points = {}, .dots = false};
  constexpr int kPoints = 60;
  std::vector<double> sum(kPoints + 1, 0);
  for (int s = 0; s < seeds; ++s) {
    const Frontier frontier(BigramWorld(kFour.world, static_cast<uint64_t>(s)));
    for (int i = 0; i <= kPoints; ++i) {
      const double root = std::sqrt(largest_kl) * i / kPoints;
      sum[i] += frontier.gain_at(root * root) / seeds;
    }
  }
  for (int i = 0; i <= kPoints; ++i) {
    curve.points.emplace_back(std::sqrt(largest_kl) * i / kPoints, sum[i]);
  }
  return curve;
}

class FrontierChart {
 public:
  void add(const std::string& family, const Outcomes& outcomes) {
    if (family.empty()) {
      return;
    }
    if (chart_.series.empty() || chart_.series.back().label != family) {
      chart_.series.push_back({.label = family, .points = {}});
    }
    const double root = std::sqrt(over(outcomes, kl_of).mean);
    largest_ = std::max(largest_, root);
    const Estimate gain = over(outcomes, &Outcome::gain);
    chart_.series.back().points.emplace_back(root, gain.mean);
    chart_.series.back().halves.push_back(gain.half);
  }
  [[nodiscard]] std::string svg_of(int seeds) {
    chart_.series.insert(chart_.series.begin(), optimum_curve(largest_ * largest_, seeds));
    return svg(chart_);
  }

 private:
  Chart chart_{.title = "Reward for KL on the bigram world",
               .x_label = "square root of KL(policy || reference), nats",
               .y_label = "gain in true reward",
               .series = {}};
  double largest_ = 0;
};

}  // namespace

Report run_frontier(int seeds) {
  Table table(fmt::format("Reward for KL: 9,000 comparisons, 1,500 steps, {} seeds.", seeds),
              {"method", "KL", "gain", "efficiency", "reference"});
  FrontierChart chart;
  for (const Line& line : lines()) {
    const Outcomes outcomes =
        run_seeds(line.two ? kTwo : kFour, attune_method(line.name, line.objective), seeds);
    add_row(table, line.name, outcomes, line.reference);
    chart.add(line.family, outcomes);
  }
  for (const double alpha : {0.5, 0.8}) {
    const Outcomes outcomes = run_seeds(kFour, unlikelihood(alpha), seeds);
    add_row(table, unlikelihood(alpha).name, outcomes, ".82-.85");
    chart.add("unlikelihood", outcomes);
  }
  const char* best_figures[] = {".89", ".91", ".93"};
  for (int i = 0; i < 3; ++i) {
    const int draws = 4 << (2 * i);
    const Outcomes outcomes = best_of(draws, seeds);
    add_row(table, fmt::format("best of {} (true reward)", draws), outcomes, best_figures[i]);
    chart.add("best of N", outcomes);
  }
  Table more(fmt::format("Further objectives, the same data, {} seeds.", seeds),
             {"method", "KL", "gain", "efficiency"});
  for (const Line& line : others()) {
    const Outcomes outcomes = run_seeds(kFour, attune_method(line.name, line.objective), seeds);
    more.add({line.name,
              over(outcomes, kl_of).text(),
              over(outcomes, &Outcome::gain).text(),
              over(outcomes, &Outcome::efficiency).text(3)});
  }
  return {table.markdown() + more.markdown(), chart.svg_of(seeds)};
}

}  // namespace attune::science
