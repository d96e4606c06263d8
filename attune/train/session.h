// What a run works on, opened and checked: model, tokenizer, data, objective.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attune/core/progress.h"
#include "attune/data/token_cache.h"
#include "attune/model/checkpoint.h"
#include "attune/model/decoder.h"
#include "attune/text/chat_template.h"
#include "attune/text/tokenizer.h"
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

  [[nodiscard]] const data::TokenCache& held_out_cache() const {
    return other_held_out ? *other_held_out : cache;
  }
};

/// The template for conversations: the model's own, or the one that the option names. Nothing if
/// the model brings none and the option is auto: plain rows need none.
/// @throws Error for an unknown name, or a template of the model's that attune does not know.
std::optional<text::ChatTemplate> chat_template_of(const model::ModelOptions& options,
                                                   const text::Tokenizer& tokenizer);

/// Tokenises or finds the caches, and splits. @throws Error as build_token_cache does, and if there
/// is no comparison to train on.
RunData open_data(const RunOptions& run, const text::Tokenizer& tokenizer, Watcher& watcher);

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

/// `auto` resolved: base with an adapter, cached without, none if no term needs one.
std::string reference_kind(const RunOptions& run);

}  // namespace attune::train
