#include "attune/train/run_page.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/core/version.h"
#include "attune/report/interval.h"
#include "attune/report/metrics_file.h"
#include "attune/report/model_card.h"
#include "attune/train/run_loop.h"

namespace attune::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string status_of(const PageParts& parts) {
  const std::string resumed = parts.progress.starts > 1
                                  ? fmt::format(", resumed {} time{}",
                                                parts.progress.starts - 1,
                                                parts.progress.starts > 2 ? "s" : "")
                                  : "";
  switch (parts.ending) {
    case Ending::kStopped:
      return fmt::format("stopped at step {} of {}{}", parts.progress.step, parts.steps, resumed);
    case Ending::kEarlyStop:
      return fmt::format("stopped early at step {} of {}: the held-out loss no longer fell{}",
                         parts.progress.step,
                         parts.steps,
                         resumed);
    default:
      return fmt::format("finished after {} step{}{}",
                         parts.progress.step,
                         parts.progress.step == 1 ? "" : "s",
                         resumed);
  }
}

std::vector<std::pair<std::string, std::string>> data_counts(const RunData& data) {
  const data::BuildReport& report = data.report;
  std::vector<std::pair<std::string, std::string>> counts{
      {"rows read", fmt::format("{}", report.rows)},
      {"comparisons kept", fmt::format("{}", report.comparisons)},
      {"groups to train on", fmt::format("{}", data.train.size())},
      {"groups held out", fmt::format("{}", data.held_out.size())},
      {"packed tokens", fmt::format("{}", report.tokens)},
      {"rows cut to fit the window", fmt::format("{}", report.truncated)}};
  for (const data::DropCount& drop : report.dropped) {
    counts.emplace_back("dropped: " + drop.reason,
                        fmt::format("{} (first: {})", drop.rows, fmt::join(drop.examples, ", ")));
  }
  return counts;
}

void add_lengths(report::RunReport& page, const RunData& data) {
  constexpr size_t kEnough = size_t{1} << 16;  // of more groups, evenly spaced ones
  const auto add = [&](const data::TokenCache& cache, const std::vector<int64_t>& groups) {
    const size_t apart = (groups.size() + kEnough - 1) / kEnough;
    for (size_t at = 0; at < groups.size(); at += apart) {
      const data::EncodedGroup group = cache.group(groups[at]);
      for (const data::EncodedComparison& pair : group.comparisons) {
        page.chosen_tokens.push_back(
            static_cast<double>(group.completions[static_cast<size_t>(pair.winner)].size()));
        page.rejected_tokens.push_back(
            static_cast<double>(group.completions[static_cast<size_t>(pair.loser)].size()));
      }
    }
  };
  add(data.cache, data.train);
  add(data.held_out_cache(), data.held_out);
}

// Chosen log-probs that fall while accuracy rises: the model unlearns both answers.
std::vector<std::string> warnings_of(const std::vector<report::EvalRow>& evals) {
  if (evals.size() < 2) {
    return {};
  }
  const report::EvalRow& first = evals.front();
  const report::EvalRow& last = evals.back();
  const double fall = first.chosen_logps - last.chosen_logps;
  if (last.margin > 0 && fall > 10) {
    return {fmt::format(
        "The chosen answers' log-probability fell by {:.1f} nats while the margin rose: the model "
        "learns mostly what not to say (likelihood displacement). Try a lower optim.lr, fewer "
        "steps or a larger beta.",
        fall)};
  }
  return {};
}

std::vector<double> margins(const Evaluation& evaluation) {
  std::vector<double> all;
  for (const PairFigures& pair : evaluation.pairs) {
    all.push_back(pair.margin());
  }
  return all;
}

std::string gigabytes(int64_t bytes) {
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

}  // namespace

report::Interval accuracy_interval(const Evaluation& evaluation) {
  double right = 0;
  for (const PairFigures& pair : evaluation.pairs) {
    right += pair.margin() > 0 ? 1.0 : (pair.margin() == 0 ? 0.5 : 0.0);
  }
  return report::wilson_interval(right, static_cast<int64_t>(evaluation.pairs.size()));
}

report::RunReport make_page(const PageParts& parts) {
  const fs::path output = parts.run.train.output;
  report::RunReport page;
  page.title = output.filename().empty() ? output.parent_path().filename().string()
                                         : output.filename().string();
  page.version = kVersion;
  page.command = parts.command;
  page.status = status_of(parts);
  if (fs::exists(output / "metrics.jsonl")) {
    report::Metrics metrics = report::read_metrics(output / "metrics.jsonl");
    page.warnings = warnings_of(metrics.evals);
    page.steps = std::move(metrics.steps);
    page.evals = std::move(metrics.evals);
  }
  if (parts.before && !parts.before->pairs.empty()) {
    page.accuracy_before = accuracy_interval(*parts.before);
    page.margins_before = margins(*parts.before);
  }
  if (parts.after && !parts.after->pairs.empty()) {
    page.accuracy_after = accuracy_interval(*parts.after);
    page.margins_after = margins(*parts.after);
    for (const PairFigures& pair : parts.after->pairs) {
      page.chosen_rewards.push_back(pair.chosen_reward);
      page.rejected_rewards.push_back(pair.rejected_reward);
    }
  }
  add_lengths(page, parts.data);
  for (const config::Difference& d : differs(parts.run)) {
    page.options_changed.push_back({d.key, d.before, d.after});
  }
  page.data_counts = data_counts(parts.data);
  const Machine& m = parts.machine;
  page.machine = {{"CPU", m.cpu},
                  {"threads", fmt::format("{} of {} cores", parts.progress.threads, m.cores)},
                  {"memory", gigabytes(m.memory_bytes)},
                  {"peak memory of the run", gigabytes(parts.peak_bytes)},
                  {"vector instructions", m.instructions},
                  {"attune", kVersion},
                  {"LibTorch", m.torch},
                  {"time", fmt::format("{:.0f} s", parts.seconds)}};
  if (parts.rates.forward > 0) {
    page.machine.emplace_back("matrix products",
                              fmt::format("{}; {:.0f} GFLOP/s forward, {:.0f} backward",
                                          parts.progress.gemm,
                                          parts.rates.forward,
                                          parts.rates.backward));
  }
  const bool full = parts.run.adapter.kind == "none";
  const fs::path result = output / (full ? "model" : "adapter");
  page.files = {{full ? "model" : "adapter", result.string()},
                {"run file, every option written out", (output / "run.yaml").string()},
                {"figures of every step", (output / "metrics.jsonl").string()},
                {"the same for TensorBoard", (output / "tensorboard").string()},
                {"held-out pairs, row by row", (output / kPairsAfter).string()},
                {"checkpoints", (output / "checkpoints").string()}};
  const std::string target =
      full ? result.string()
           : fmt::format("{} --adapter={}", parts.run.model.path, result.string());
  page.next_commands = {"attune chat " + target};
  if (!full) {
    page.next_commands.push_back(fmt::format("attune merge {} {} {}",
                                             parts.run.model.path,
                                             result.string(),
                                             (output / "merged").string()));
  }
  page.run_yaml = to_yaml(parts.run);
  return page;
}

void write_card(const PageParts& parts, const fs::path& folder) {
  report::ModelCard card;
  const fs::path output = parts.run.train.output;
  card.name = output.filename().string();
  card.base_model = parts.run.model.path;
  card.adapter = parts.run.adapter.kind != "none";
  card.objective.clear();
  for (const objective::TermOptions& term : parts.run.objective) {
    card.objective.push_back(
        {.kind = term.kind,
         .weight = term.weight,
         .paper =
             std::visit([](const auto& own) { return std::string(own.kPaper); }, term.options)});
  }
  card.folder = folder.string();
  card.version = kVersion;
  card.command = parts.command;
  card.data = data_counts(parts.data);
  for (const config::Difference& d : differs(parts.run)) {
    card.settings.emplace_back(d.key, d.after);
  }
  if (parts.before && !parts.before->pairs.empty()) {
    card.accuracy_before = accuracy_interval(*parts.before);
  }
  if (parts.after && !parts.after->pairs.empty()) {
    card.accuracy_after = accuracy_interval(*parts.after);
  }
  const report::Metrics metrics = report::read_metrics(output / "metrics.jsonl");
  if (metrics.evals.size() > 1) {
    card.before = metrics.evals.front();
    card.after = metrics.evals.back();
  }
  write_file(folder / "README.md", report::to_markdown(card));
}

void write_pairs(const fs::path& file,
                 const Evaluation& evaluation,
                 const data::TokenCache& cache) {
  std::string text;
  for (const PairFigures& pair : evaluation.pairs) {
    text += json{{"row", std::string(cache.where(pair.group))},
                 {"group", pair.group},
                 {"rewards/chosen", pair.chosen_reward},
                 {"rewards/rejected", pair.rejected_reward},
                 {"rewards/margin", pair.margin()},
                 {"weight", pair.weight}}
                .dump() +
            "\n";
  }
  write_file(file, text);
}

std::optional<Evaluation> read_pairs(const fs::path& file) {
  if (!fs::exists(file)) {
    return std::nullopt;
  }
  Evaluation evaluation;
  const std::string text = read_file(file);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const json row = json::parse(text.substr(begin, end - begin), nullptr, false);
    begin = end + 1;
    check(row.is_object(), "{}: not attune's file of held-out pairs", file.string());
    evaluation.pairs.push_back({.group = row.value("group", int64_t{0}),
                                .chosen_reward = row.value("rewards/chosen", 0.0),
                                .rejected_reward = row.value("rewards/rejected", 0.0),
                                .weight = row.value("weight", 1.0)});
  }
  return evaluation;
}

}  // namespace attune::train
