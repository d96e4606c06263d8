// What the policy's answers look like: their length, their tokens' drift, and whether winners stay
// likely.
#include <cmath>

#include <fmt/format.h>

#include "attune/report/interval.h"

#include "bench/science/chart.h"
#include "bench/science/displacement.h"
#include "bench/science/experiments.h"

namespace attune::science {

Report run_length(int seeds) {
  const Setting setting{.world = {.max_tokens = 24, .mean_tokens = 7.2, .reward_std = 0.8},
                        .feedback = {.groups = 6000, .length_bonus = 0.25},
                        .train = {.groups_per_step = 64}};
  struct Line {
    Method method;
    std::string reference;
  };
  const std::vector<Line> lines{
      {attune_method("DPO", "{kind: dpo, beta: 0.3}"), "22.6, 1.68"},
      {attune_method("R-DPO alpha 0.1", "{kind: r_dpo, beta: 0.3, alpha: 0.1}"), "20.9, 2.62"},
      {attune_method("R-DPO alpha 0.25", "{kind: r_dpo, beta: 0.3, alpha: 0.25}"), "14.1, 3.64"},
      {wrong_sign_r_dpo(0.3, 0.25), "23.3, 0.77"},
      {attune_method("LD-DPO alpha 0.5", "{kind: ld_dpo, beta: 0.3, alpha: 0.5}"), "23.1, 2.76"},
      {attune_method("LD-DPO alpha 0", "{kind: ld_dpo, beta: 0.3, alpha: 0}"), "21.6, 4.83"},
      {attune_method("length-normalised DPO beta 2", "{kind: dpo_norm, beta: 2}"), "17.8, 4.29"},
      {attune_method("SimPO beta 2", "{kind: simpo, beta: 2}"), "22.0, 4.80"}};
  Table table("", {"method", "tokens", "KL", "gain", "tokens / DPO's", "reference: tokens, gain"});
  Chart chart{.title = "Labels that favour length by 0.25 a token",
              .x_label = "mean length, tokens",
              .y_label = "gain in true reward",
              .series = {}};
  Outcomes first;
  for (const Line& line : lines) {
    const Outcomes outcomes = run_seeds(setting, line.method, seeds);
    if (first.empty()) {
      first = outcomes;
    }
    std::vector<double> shorter;
    for (size_t s = 0; s < first.size(); ++s) {
      shorter.push_back(tokens_of(outcomes[s]) / tokens_of(first[s]));
    }
    const Estimate tokens = over(outcomes, tokens_of), gain = over(outcomes, &Outcome::gain);
    table.add({line.method.name,
               tokens.text(1),
               over(outcomes, kl_of).text(1),
               gain.text(),
               estimate(shorter).text(),
               line.reference});
    chart.series.push_back({.label = line.method.name,
                            .points = {{tokens.mean, gain.mean}},
                            .halves = {gain.half},
                            .line = false});
  }
  const std::string caption = fmt::format(
      "Length: labels give 0.25 for each token, the true reward nothing; the reference's mean "
      "is 7.2 tokens of at most 24, of winners {:.1f}, of losers {:.1f}; 6,000 pairs, beta 0.3, {} "
      "seeds.\n\n",
      over(first, &Outcome::winner_tokens).mean,
      over(first, &Outcome::loser_tokens).mean,
      seeds);
  return {caption + table.markdown().substr(2), svg(chart)};
}

Report run_tokens(int seeds) {
  const Setting setting{.feedback = {.groups = 6000}, .train = {.groups_per_step = 64}};
  Table table(
      fmt::format("Token-level DPO: 6,000 pairs, {} seeds. Wanted: TDPO2's divergence on "
                  "losers below DPO's, its efficiency at least DPO's - .01.",
                  seeds),
      {"method", "KL", "gain", "efficiency", "KL(reference, policy) on losers", "of DPO's"});
  Chart chart{.title = "Token-level DPO: drift on the losers",
              .x_label = "KL(policy || reference), nats",
              .y_label = "KL(reference || policy) along losers, nats",
              .series = {{.label = "DPO", .points = {}},
                         {.label = "TDPO1", .points = {}},
                         {.label = "TDPO2 alpha 0.5", .points = {}}}};
  for (const double beta : {1.0, 0.3, 0.1}) {
    Outcomes first;
    for (size_t i = 0; i < 3; ++i) {
      const std::string name = fmt::format("{} beta {}", chart.series[i].label, beta);
      const std::string objective =
          i == 0 ? fmt::format("{{kind: dpo, beta: {}}}", beta)
                 : fmt::format("{{kind: tdpo, beta: {}, version: {}}}", beta, i);
      const Outcomes outcomes = run_seeds(setting, attune_method(name, objective), seeds);
      if (i == 0) {
        first = outcomes;
      }
      const Estimate drift = over(outcomes, &Outcome::loser_divergence);
      table.add({name,
                 over(outcomes, kl_of).text(),
                 over(outcomes, &Outcome::gain).text(),
                 over(outcomes, &Outcome::efficiency).text(3),
                 drift.text(),
                 ratio(outcomes, first, &Outcome::loser_divergence).text()});
      chart.series[i].points.emplace_back(over(outcomes, kl_of).mean, drift.mean);
      chart.series[i].halves.push_back(drift.half);
    }
  }
  return {table.markdown(), svg(chart)};
}

Report run_displacement(int seeds) {
  const int trials = 4 * seeds;  // cheap
  struct Line {
    std::string name, objective, reference;
  };
  const std::vector<Line> lines{
      {"DPO beta 0.1", "{kind: dpo, beta: 0.1}", "85 %, -4.9"},
      {"DPOP lambda 50", "{kind: dpop, beta: 0.1, lambda: 50}", "mean >= 0"},
      {"DPO + NLL", "[{kind: dpo, beta: 0.1}, {kind: nll}]", "mean >= 0"},
      {"DPO + anchor", "[{kind: dpo, beta: 0.1}, {kind: anchor, beta: 0.1}]", ""},
      {"NCA", "{kind: nca, beta: 0.1}", ""},
      {"BCO", "{kind: bco, beta: 0.1}", ""},
      {"APO-zero", "{kind: apo_zero, beta: 0.1}", ""},
      {"IPO tau 0.1", "{kind: ipo, tau: 0.1}", ""}};
  Table table(fmt::format("Likelihood displacement: one pair of nearly parallel tokens among "
                          "50, 150 steps, {} seeds.",
                          trials),
              {"method", "winner fell", "winner's log-ratio", "margin grew", "reference"});
  Chart chart{.title = "Likelihood displacement: each dot is a seed",
              .x_label = "change of the margin, nats",
              .y_label = "change of the winner's log-prob, nats",
              .series = {}};
  for (const Line& line : lines) {
    std::vector<double> changes;
    int fell = 0, grew = 0;
    chart.series.push_back({.label = line.name, .points = {}, .line = false});
    for (int s = 0; s < trials; ++s) {
      const Displacement moved =
          displace(attune_method(line.name, line.objective), static_cast<uint64_t>(s));
      changes.push_back(moved.winner_change);
      fell += moved.winner_change < 0 ? 1 : 0;
      grew += moved.margin > 0 ? 1 : 0;
      chart.series.back().points.emplace_back(moved.margin, moved.winner_change);
    }
    const report::Interval share = report::wilson_interval(fell, trials);
    table.add({line.name,
               fmt::format("{:.0f} % ({:.0f} to {:.0f})",
                           100 * share.estimate,
                           100 * share.low,
                           100 * share.high),
               estimate(changes).text(),
               fmt::format("{} of {}", grew, trials),
               line.reference});
  }
  return {table.markdown(), svg(chart)};
}

}  // namespace attune::science
