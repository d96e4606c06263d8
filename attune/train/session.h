// What a run works on, opened and checked: model, tokenizer, data, objective.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attune/core/progress.h"
#include "attune/data/sampler.h"
#include "attune/data/token_cache.h"
#include "attune/model/checkpoint.h"
#include "attune/model/decoder.h"
#include "attune/text/chat_template.h"
#include "attune/text/tokenizer.h"
#include "attune/train/group_weights.h"
#include "attune/train/plan.h"
#include "attune/train/run_options.h"

namespace attune::train {

/// The data of a run as token caches; `held_out` indices point into `held_out_cache()`.
struct RunData {
  data::TokenCache cache;
  data::BuildReport report;
  std::optional<data::TokenCache> other_held_out;  ///< From data.held_out's own files.
  std::optional<data::BuildReport> held_out_report;
  std::vector<int64_t> train;
  std::vector<int64_t> held_out;

  /// What there is to learn from in groups of a cache.
  struct Count {
    int64_t comparisons = 0;
    int64_t labels = 0;  ///< Labelled completions that nobody compared.
  };
  [[nodiscard]] Count count_train() const;
  [[nodiscard]] Count count_held_out() const;

  [[nodiscard]] const data::TokenCache& held_out_cache() const {
    return other_held_out ? *other_held_out : cache;
  }
};

/// The template for conversations: the model's own, or the one that the option names. Nothing if
/// the model brings none and the option is auto: plain rows need none.
/// @throws Error for an unknown name, or a template of the model's that attune does not know.
std::optional<text::ChatTemplate> chat_template_of(const model::ModelOptions& options,
                                                   const text::Tokenizer& tokenizer);

/// Tokenises or finds the caches, splits, and keeps what the objective can learn from.
/// @param shape   Of the model: its window bounds data.max_tokens.
/// @throws Error  As build_token_cache and keep_usable do; if data.max_tokens is longer than the
///                model's window, or nothing is left to train on.
RunData open_data(const RunOptions& run,
                  const model::DecoderShape& shape,
                  const text::Tokenizer& tokenizer,
                  Watcher& watcher);

/// The run's order of `data.train`.
data::StepSampler make_sampler(const RunOptions& run, const RunData& data);

/// Each tag's shares of the weights of what the run's steps draw: of comparisons, labels and
/// rankings. Reads every row that is trained on.
TagShares tag_shares(const RunOptions& run, const RunData& data);

/// A decoder's linear layers with their paths.
std::vector<std::pair<std::string, adapter::Linear*>> linear_layers(model::Decoder& model);

/// The policy at the start of a run: weights loaded, adapters added (or read from adapter.path), or
/// every weight made trainable.
std::unique_ptr<model::Decoder> make_policy(const model::Source& source, const RunOptions& run);

/// The adapter's options with rank, alpha, rslora and targets of `adapter.path`, if there is one.
/// @throws Error if an option is set to something else than the file says.
adapter::AdapterOptions resolved_adapter(const RunOptions& run);

/// What the plan needs to know of a run. `tokens` and `scored` are left 0.
PlanInput plan_input(const RunOptions& run, const model::DecoderShape& shape);

}  // namespace attune::train
