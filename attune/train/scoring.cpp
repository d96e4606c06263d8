#include "attune/train/scoring.h"

#include <chrono>
#include <numeric>

#include <ATen/core/grad_mode.h>

#include "attune/adapter/peft.h"
#include "attune/core/error.h"
#include "attune/core/stop.h"
#include "attune/generate/language_model.h"
#include "attune/model/checkpoint.h"
#include "attune/tensor/gemm.h"
#include "attune/tensor/kernel_memory.h"
#include "attune/train/evaluate.h"
#include "attune/train/score.h"

namespace attune::train {
namespace {

// Counts positive margins, a tie half.
struct Share {
  double positive = 0;

  void add(double margin) {
    positive += margin > 0 ? 1.0 : (margin == 0 ? 0.5 : 0.0);
  }
  [[nodiscard]] std::optional<report::Interval> of(int64_t count) const {
    return count == 0 ? std::nullopt : std::optional(report::wilson_interval(positive, count));
  }
};

// The rows of one batch: `policy` and `reference` hold a number for each completion in order.
std::vector<ScoredRow> rows_of(const data::TokenCache& cache,
                               std::span<const int64_t> groups,
                               const at::Tensor& policy_S,
                               const at::Tensor& reference_S,
                               double beta) {
  const at::Tensor policy = policy_S.contiguous();
  const at::Tensor reference = reference_S.defined() ? reference_S.contiguous() : at::Tensor();
  const double* logps = policy.const_data_ptr<double>();
  const double* reference_logps =
      reference.defined() ? reference.const_data_ptr<double>() : nullptr;
  std::vector<ScoredRow> rows;
  size_t s = 0;
  for (const int64_t i : groups) {
    const data::EncodedGroup group = cache.group(i);
    ScoredRow row{.where = std::string(cache.where(i)),
                  .prompt_tokens = static_cast<int64_t>(group.prompt.size()),
                  .completions = {},
                  .comparisons = {}};
    for (const std::vector<int32_t>& completion : group.completions) {
      ScoredCompletion& scored = row.completions.emplace_back();
      scored.logps = logps[s];
      scored.tokens = static_cast<int64_t>(completion.size());
      if (reference_logps != nullptr) {
        scored.reference_logps = reference_logps[s];
        scored.reward = beta * (logps[s] - reference_logps[s]);
      }
      ++s;
    }
    for (const data::EncodedComparison& comparison : group.comparisons) {
      const ScoredCompletion& w = row.completions.at(static_cast<size_t>(comparison.winner));
      const ScoredCompletion& l = row.completions.at(static_cast<size_t>(comparison.loser));
      row.comparisons.push_back(
          {.winner = comparison.winner,
           .loser = comparison.loser,
           .logps_margin = w.logps - l.logps,
           .mean_logps_margin =
               w.logps / static_cast<double>(w.tokens) - l.logps / static_cast<double>(l.tokens),
           .margin = w.reward ? std::optional(*w.reward - *l.reward) : std::nullopt});
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::unique_ptr<Reference> make_reference(const ScoringOptions& options,
                                          const generate::LanguageModel& policy,
                                          const model::Decoder& decoder) {
  if (!options.reference.empty()) {
    const model::Source other = model::open_model(options.reference);
    check(other.shape.vocabulary == policy.source().shape.vocabulary,
          "{} has {} tokens and {} has {}; model and reference must share one vocabulary",
          options.reference,
          other.shape.vocabulary,
          options.model.path,
          policy.source().shape.vocabulary);
    return model_reference(
        model::load_model(other, options.model.precision == "bf16" ? at::kBFloat16 : at::kFloat));
  }
  return options.adapter.empty() ? no_reference() : base_reference(decoder);
}

}  // namespace

ScoringSummary score_files(const ScoringOptions& options,
                           const std::function<void(const ScoredRow&)>& on_row,
                           Watcher& watcher) {
  check(options.beta > 0, "beta must be > 0, got {}", options.beta);
  check(options.max_tokens > 0, "batch tokens must be > 0, got {}", options.max_tokens);
  const at::NoGradGuard no_grad;
  generate::LanguageModel policy(options.model, options.adapter, options.threads);
  const model::DecoderShape& shape = policy.source().shape;
  data::DataOptions rows = options.data;
  rows.max_tokens = std::min(rows.window(), shape.max_positions);
  if (!options.adapter.empty()) {
    const std::string other = adapter::base_warning(options.adapter, options.model.path);
    if (!other.empty()) {
      watcher.warn(other);
    }
  }
  const auto [cache, report] =
      data::build_token_cache(rows,
                              options.files,
                              policy.tokenizer(),
                              policy.can_chat() ? &policy.chat_template() : nullptr,
                              watcher);
  const tensor::GemmChoice choice = tensor::remembered_gemm_kernel(
      tensor::kernel_memory_file(), 1024, shape.width, shape.feed_forward);
  tensor::use_products(tensor::choose_products(choice, "f32"));
  const std::unique_ptr<Reference> reference = make_reference(options, policy, policy.decoder());

  const auto start = std::chrono::steady_clock::now();
  ScoringSummary summary;
  summary.data = report;
  summary.all_rows = cache.size();
  Share by_reward;
  Share by_logps;
  Share by_mean;
  for (int64_t first = 0; first < cache.size() && !summary.stopped;) {
    // Neighbours go together, so that the rows come out in their order.
    int64_t end = first + 1;
    int64_t tokens = cache.num_tokens(first);
    while (end < cache.size() && tokens + cache.num_tokens(end) <= options.max_tokens) {
      tokens += cache.num_tokens(end++);
    }
    std::vector<int64_t> groups(static_cast<size_t>(end - first));
    std::iota(groups.begin(), groups.end(), first);
    const PreferenceBatch batch = batch_of(cache, groups);
    const at::Tensor logps_S = score(policy.decoder(), batch, {}).sum_S;
    const at::Tensor reference_S = reference->logps(batch).sum_S;
    for (const ScoredRow& row : rows_of(cache, groups, logps_S, reference_S, options.beta)) {
      summary.completions += static_cast<int64_t>(row.completions.size());
      for (const ScoredComparison& comparison : row.comparisons) {
        ++summary.comparisons;
        by_logps.add(comparison.logps_margin);
        by_mean.add(comparison.mean_logps_margin);
        by_reward.add(comparison.margin.value_or(0));
        summary.mean_margin += comparison.margin.value_or(0);
      }
      on_row(row);
    }
    summary.rows += end - first;
    summary.tokens += tokens;
    first = end;
    watcher.progress("scoring", summary.rows, cache.size());
    summary.stopped = stop_requested() && first < cache.size();
  }
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (summary.comparisons > 0) {
    summary.mean_margin /= static_cast<double>(summary.comparisons);
  }
  const bool has_reference = !options.reference.empty() || !options.adapter.empty();
  summary.accuracy = has_reference ? by_reward.of(summary.comparisons) : std::nullopt;
  summary.logps_accuracy = by_logps.of(summary.comparisons);
  summary.mean_logps_accuracy = by_mean.of(summary.comparisons);
  return summary;
}

}  // namespace attune::train
