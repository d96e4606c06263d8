// What answers say and how sure they are: noise, probabilities, certainty, and single answers.
#include <cmath>

#include <fmt/format.h>

#include "bench/science/chart.h"
#include "bench/science/experiments.h"

namespace attune::science {
namespace {

Setting pairs(FeedbackOptions feedback) {
  feedback.groups = 6000;
  return {.feedback = feedback, .train = {.groups_per_step = 64}};
}

std::string cell(const Outcomes& outcomes) {
  return fmt::format(
      "{} at {:.1f}", over(outcomes, &Outcome::gain).text(), over(outcomes, kl_of).mean);
}

// The pair of two arms without prompts, the first always preferred.
const WorldOptions kTwoArms{.vocabulary = 2, .prompts = 1, .max_tokens = 1, .logit_std = 0};

Outcome run_bandit(const std::string& objective) {
  const BigramWorld world(kTwoArms, /*seed=*/1);
  const std::vector<Group> data{
      {.completions = {{0, {0}}, {0, {1}}}, .comparisons = {{0, 1, 1}}, .labels = {1, -1}}};
  return train(world,
               Frontier(world),
               data,
               attune_method(objective, objective),
               {.steps = 20000, .groups_per_step = 1, .trace_every = 250});
}

}  // namespace

Report run_noise(int seeds) {
  const std::vector<double> shares{0, 0.1, 0.2, 0.3, 0.4};
  const std::vector<std::pair<std::string, std::string>> methods{
      {"DPO", "{{kind: dpo, beta: 0.3}}"},
      {"cDPO, e = share", "{{kind: dpo, beta: 0.3, label_smoothing: {}}}"},
      {"rDPO, e = share", "{{kind: robust, beta: 0.3, label_smoothing: {}}}"},
      {"rDPO, e = 0.1", "{{kind: robust, beta: 0.3, label_smoothing: 0.1}}"}};
  std::vector<std::string> head{"share of flipped labels"};
  std::vector<std::vector<Outcomes>> all;
  Chart chart{.title = "Flipped labels, beta 0.3",
              .x_label = "share of flipped labels",
              .y_label = "gain in true reward",
              .series = {}};
  for (const auto& [name, objective] : methods) {
    head.push_back(name);
    chart.series.push_back({.label = name, .points = {}});
    std::vector<Outcomes> column;
    for (const double share : shares) {
      const std::string text = fmt::format(fmt::runtime(objective), share);
      column.push_back(run_seeds(pairs({.flipped = share}), attune_method(name, text), seeds));
      const Estimate gain = over(column.back(), &Outcome::gain);
      chart.series.back().points.emplace_back(share, gain.mean);
      chart.series.back().halves.push_back(gain.half);
    }
    all.push_back(std::move(column));
  }
  head.push_back("rDPO / DPO");
  head.push_back("reference: DPO, cDPO, rDPO");
  Table table(fmt::format("Flipped labels: gain and KL, 6,000 pairs, beta 0.3, {} seeds.", seeds),
              head);
  for (size_t i = 0; i < shares.size(); ++i) {
    std::vector<std::string> row{fmt::format("{}", shares[i])};
    for (const auto& column : all) {
      row.push_back(cell(column[i]));
    }
    row.push_back(ratio(all[2][i], all[0][i], &Outcome::gain).text());
    row.push_back(shares[i] == 0     ? "6.59 at 6.4"
                  : shares[i] == 0.3 ? "2.54 at 1.3, 1.00 at 0.2, 5.13 at 5.1"
                                     : "");
    table.add(row);
  }
  return {table.markdown(), svg(chart)};
}

Report run_labels(int seeds) {
  struct Line {
    std::string name, objective, reference;
    bool soft;
  };
  const std::vector<Line> lines{
      {"DPO, sampled answers", "{kind: dpo, beta: 0.3}", "6.59 at 6.4", false},
      {"DPO, probabilities", "{kind: dpo, beta: 0.3}", "7.97 at 8.9", true},
      {"GDPO, probabilities", "{kind: gdpo, beta: 0.3}", "", true},
      {"IPO tau 0.1, sampled answers", "{kind: ipo, tau: 0.1, average: sum}", "", false},
      {"IPO tau 0.1, probabilities", "{kind: ipo, tau: 0.1, average: sum}", "", true}};
  Table table(fmt::format("Probabilities in place of answers: 6,000 pairs, {} seeds.", seeds),
              {"method", "KL", "gain", "efficiency", "gain / DPO's with answers", "reference"});
  Chart chart{.title = "Probabilities in place of answers",
              .x_label = "KL(policy || reference), nats",
              .y_label = "gain in true reward",
              .series = {}};
  Outcomes first;
  for (const Line& line : lines) {
    const Outcomes outcomes =
        run_seeds(pairs({.soft = line.soft}), attune_method(line.name, line.objective), seeds);
    if (first.empty()) {
      first = outcomes;
    }
    const Estimate gain = over(outcomes, &Outcome::gain);
    table.add({line.name,
               over(outcomes, kl_of).text(),
               gain.text(),
               over(outcomes, &Outcome::efficiency).text(3),
               ratio(outcomes, first, &Outcome::gain).text(),
               line.reference});
    chart.series.push_back({.label = line.name,
                            .points = {{over(outcomes, kl_of).mean, gain.mean}},
                            .halves = {gain.half},
                            .line = false});
  }
  return {table.markdown(), svg(chart)};
}

Report run_certain(int /*seeds*/) {
  struct Line {
    std::string name, objective, margin, chance;
  };
  const std::vector<Line> lines{
      {"DPO beta 0.1", "{kind: dpo, beta: 0.1}", "95, growing", "> .999"},
      {"DPO beta 1", "{kind: dpo, beta: 1}", "14.8, growing", "> .999"},
      {"IPO tau 0.1", "{kind: ipo, tau: 0.1, average: sum}", "5.00", ".993"},
      {"IPO tau 0.5", "{kind: ipo, tau: 0.5, average: sum}", "1.00", ".731"},
      {"IPO tau 1", "{kind: ipo, tau: 1, average: sum}", "0.50", ".622"}};
  Table table(
      "Certain preferences: two arms, the first always wins, 20,000 steps; no chance in it.",
      {"method", "margin D, step 10,000", "margin D, end", "pi(best)", "reference: D", "pi(best)"});
  Chart chart{.title = "One arm always wins: the margin of IPO stops",
              .x_label = "step",
              .y_label = "margin D = h(winner) - h(loser), nats",
              .series = {}};
  for (const Line& line : lines) {
    const Outcome outcome = run_bandit(line.objective);
    table.add({line.name,
               fmt::format("{:.3f}", outcome.trace[outcome.trace.size() / 2].gain),
               fmt::format("{:.3f}", outcome.winner_change - outcome.loser_change),
               fmt::format("{:.4f}", std::exp(outcome.policy.logp[2 * 2])),
               line.margin,
               line.chance});
    chart.series.push_back({.label = line.name, .points = {}, .dots = false});
    for (const auto& [step, margin] : outcome.trace) {
      chart.series.back().points.emplace_back(step, margin);
    }
  }
  return {table.markdown(), svg(chart)};
}

Report run_unpaired(int seeds) {
  struct Line {
    std::string name, objective, reference;
    double keep = 1;
  };
  const std::vector<Line> lines{
      {"DPO beta 0.3, pairs", "{kind: dpo, beta: 0.3}", ""},
      {"KTO beta 0.3", "{kind: kto, beta: 0.3}", "efficiency >= .6 of DPO's"},
      {"KTO, 1 up : 10 down", "{kind: kto, beta: 0.3}", "below the next row", 0.1},
      {"KTO, 1 : 10, desirable_weight 10",
       "{kind: kto, beta: 0.3, desirable_weight: 10}",
       ">= .9 of KTO's gain",
       0.1},
      {"BCO beta 0.3", "{kind: bco_unpaired, beta: 0.3}", ""},
      {"APO-zero beta 0.3", "{kind: apo_zero_unpaired, beta: 0.3}", ""}};
  Table table(
      fmt::format("Single answers: the sides of 6,000 pairs as thumbs up and down, {} seeds.",
                  seeds),
      {"method", "KL", "gain", "efficiency", "efficiency / DPO's", "gain / KTO's", "wanted"});
  Chart chart{.title = "Thumbs up and down",
              .x_label = "KL(policy || reference), nats",
              .y_label = "gain in true reward",
              .series = {}};
  std::vector<Outcomes> all;
  for (const Line& line : lines) {
    all.push_back(run_seeds(
        pairs({.keep_desirable = line.keep}), attune_method(line.name, line.objective), seeds));
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    const Estimate gain = over(all[i], &Outcome::gain);
    table.add({lines[i].name,
               over(all[i], kl_of).text(),
               gain.text(),
               over(all[i], &Outcome::efficiency).text(3),
               ratio(all[i], all[0], &Outcome::efficiency).text(),
               ratio(all[i], all[1], &Outcome::gain).text(),
               lines[i].reference});
    chart.series.push_back({.label = lines[i].name,
                            .points = {{over(all[i], kl_of).mean, gain.mean}},
                            .halves = {gain.half},
                            .line = false});
  }
  return {table.markdown(), svg(chart)};
}

}  // namespace attune::science
