// The options of the data room: section "data" of a run file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "attune/core/field.h"

namespace attune::data {

/// Where the preferences come from and how they become tokens.
struct DataOptions {
  std::vector<std::string> train = {};       ///< Files, read in this order.
  std::vector<std::string> held_out = {};    ///< Files for evaluation; empty: a share of `train`.
  double held_out_fraction = 0.1;            ///< Share of the prompts of `train`; 0: none.
  std::optional<int64_t> max_tokens = 1024;  ///< Prompt and longest completion; nothing: auto.
  std::optional<int64_t> max_completion_tokens = {};  ///< Of one completion; nothing: `max_tokens`.
  std::string truncation = "prompt_left";             ///< What gives way in a row that is too long.
  std::string long_completion = "cut";  ///< What happens to a completion that is too long.
  std::string on_bad_row = "error";     ///< "error" stops; "skip" counts and names.
  std::map<std::string, std::string> columns = {};  ///< attune's field -> the file's column.
  std::vector<std::string> values = {};             ///< Columns with a number for each completion.
  std::string tag = {};                             ///< Column of a row's group; empty: none.
  double tag_temperature = 1;                       ///< 1: tags by their size; large: equal shares.
  double group_robust = 0;      ///< Step of the tags' weights in the loss; 0: all alike.
  std::string format = "auto";  ///< How files are read.
  std::string cache_dir = ".attune/cache";  ///< Folder of token caches.
  bool shuffle = true;                      ///< A new order each epoch.
  bool add_eos = true;                      ///< End token after plain completions.
  std::string add_bos = "auto";             ///< Begin token before plain prompts.

  /// The window of max_tokens auto, where the model does not say less.
  static constexpr int64_t kUsualWindow = 1024;
  /// Longest prompt plus completion, in tokens.
  [[nodiscard]] int64_t window() const {
    return max_tokens.value_or(kUsualWindow);
  }

  template <class V>
  void fields(V&& field) {
    field("train",
          train,
          {.help = "preference files: JSONL or a JSON array, plain or gzip, read in this order"});
    field("held_out",
          held_out,
          {.help = "files to evaluate on; none: held_out_fraction of the training prompts",
           .may_change = true});
    field("held_out_fraction",
          held_out_fraction,
          {.help = "share of the prompts kept for evaluation; a prompt is never on both sides",
           .at_least = 0,
           .below = 1});
    field("max_tokens",
          max_tokens,
          {.help = "longest prompt plus completion, in tokens; auto is 1024, or the model's window "
                   "if that is shorter",
           .at_least = 2});
    field("max_completion_tokens",
          max_completion_tokens,
          {.help = "longest completion, in tokens; without it only max_tokens counts",
           .at_least = 1});
    field("truncation",
          truncation,
          {.help = "what gives way in a row longer than max_tokens: the prompt's beginning, the "
                   "prompt's end, the completions' end, or the whole row",
           .one_of = {"prompt_left", "prompt_right", "completion_right", "drop"}});
    field("long_completion",
          long_completion,
          {.help = "a completion too long by itself is cut at its end, or drops its row",
           .one_of = {"cut", "drop"}});
    field("on_bad_row",
          on_bad_row,
          {.help = "a row that cannot be used stops the run, or is skipped, counted and named",
           .one_of = {"error", "skip"}});
    field(
        "columns", columns, {.help = "attune's field: the file's column, as in chosen: answer_a"});
    field("values",
          values,
          {.help = "columns with a number for each completion, for terms that read them: cost is "
                   "read from cost_chosen and cost_rejected (or chosen_cost and rejected_cost), "
                   "cost_a and cost_b, or a list cost"});
    field("tag",
          tag,
          {.help = "column with each row's group, as task or annotator, for tag_temperature"});
    field("tag_temperature",
          tag_temperature,
          {.help = "share of each tag in an epoch is its number of prompts to the power of 1 / "
                   "tag_temperature: 1 as in the data, large is equal shares",
           .at_least = 1});
    field("group_robust",
          group_robust,
          {.help = "a tag's weight in the loss grows by exp(group_robust times its loss) with each "
                   "step, so that the worst tag counts most (group DRO); 0 is off, papers use 0.01 "
                   "to 0.1",
           .at_least = 0});
    field("format",
          format,
          {.help = "how files are read; auto looks at their content",
           .one_of = {"auto", "jsonl", "json"}});
    field("cache_dir", cache_dir, {.help = "folder of token caches", .may_change = true});
    field("shuffle", shuffle, {.help = "a new order of the rows in each epoch"});
    field("add_eos", add_eos, {.help = "end plain completions with the end token, exactly once"});
    field("add_bos",
          add_bos,
          {.help = "begin token before plain prompts; auto: if the tokenizer adds one",
           .one_of = {"auto", "always", "never"}});
  }
};

}  // namespace attune::data
