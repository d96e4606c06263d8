#include "attune/config/trl.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attune/config/fields.h"
#include "attune/config/scalar.h"
#include "attune/core/error.h"
#include "attune/core/hint.h"

namespace attune::config {
namespace {

using Kind = Section::Kind;

// TRL's own default stands here where attune's differs: without the key, TRL would use it.
struct TrlOptions {
  std::optional<std::string> model_name_or_path;
  std::optional<std::string> output_dir;
  std::optional<std::string> dataset_name;
  double learning_rate = 1e-6;
  double num_train_epochs = 3;
  int64_t max_steps = -1;
  int64_t per_device_train_batch_size = 8;
  int64_t gradient_accumulation_steps = 1;
  int64_t seed = 42;
  double weight_decay = 0;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  double max_grad_norm = 1;
  std::string lr_scheduler_type = "linear";
  double warmup_ratio = 0;
  double beta = 0.1;
  std::optional<double> label_smoothing;
  std::vector<std::string> loss_type = {"sigmoid"};
  std::vector<std::string> loss_weights;
  std::optional<double> ld_alpha;
  std::string f_divergence_type = "reverse_kl";
  double f_alpha_divergence_coef = 0.5;
  bool use_weighting = false;
  double discopop_tau = 0.05;
  std::optional<int64_t> max_length = 1024;
  std::string truncation_mode = "keep_start";
  bool use_peft = false;
  int64_t lora_r = 16;
  double lora_alpha = 32;
  double lora_dropout = 0.05;
  std::vector<std::string> lora_target_modules = {"q_proj", "v_proj"};
  bool use_rslora = false;
  bool precompute_ref_log_probs = false;
  bool sync_ref_model = false;
  int64_t ref_model_sync_steps = 512;
  double ref_model_mixup_alpha = 0.6;
  bool gradient_checkpointing = true;
  std::string dtype = "float32";
  std::string eval_strategy = "no";
  int64_t eval_steps = 500;
  std::string save_strategy = "steps";
  int64_t save_steps = 500;
  std::optional<int64_t> save_total_limit;
  int64_t logging_steps = 10;

  template <class Visitor>
  void fields(Visitor&& field) {
    field("model_name_or_path", model_name_or_path, {});
    field("output_dir", output_dir, {});
    field("dataset_name", dataset_name, {});
    field("learning_rate", learning_rate, {});
    field("num_train_epochs", num_train_epochs, {.at_most = 1e9});
    field("max_steps", max_steps, {});
    field("per_device_train_batch_size",
          per_device_train_batch_size,
          {.at_least = 1, .at_most = 1 << 24});
    field("gradient_accumulation_steps",
          gradient_accumulation_steps,
          {.at_least = 1, .at_most = 1 << 24});
    field("seed", seed, {});
    field("weight_decay", weight_decay, {});
    field("adam_beta1", adam_beta1, {});
    field("adam_beta2", adam_beta2, {});
    field("adam_epsilon", adam_epsilon, {});
    field("max_grad_norm", max_grad_norm, {});
    field("lr_scheduler_type", lr_scheduler_type, {});
    field("warmup_ratio", warmup_ratio, {});
    field("beta", beta, {});
    field("label_smoothing", label_smoothing, {});
    field("loss_type", loss_type, {});
    field("loss_weights", loss_weights, {});
    field("ld_alpha", ld_alpha, {.at_least = 0, .at_most = 1});
    field("f_divergence_type",
          f_divergence_type,
          {.one_of = {"reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"}});
    field("f_alpha_divergence_coef", f_alpha_divergence_coef, {});
    field("use_weighting", use_weighting, {});
    field("discopop_tau", discopop_tau, {});
    field("max_length", max_length, {});
    field("truncation_mode", truncation_mode, {.one_of = {"keep_start", "keep_end"}});
    field("use_peft", use_peft, {});
    field("lora_r", lora_r, {});
    field("lora_alpha", lora_alpha, {});
    field("lora_dropout", lora_dropout, {});
    field("lora_target_modules", lora_target_modules, {});
    field("use_rslora", use_rslora, {});
    field("precompute_ref_log_probs", precompute_ref_log_probs, {});
    field("sync_ref_model", sync_ref_model, {});
    field("ref_model_sync_steps", ref_model_sync_steps, {.at_least = 1});
    field("ref_model_mixup_alpha", ref_model_mixup_alpha, {});
    field("gradient_checkpointing", gradient_checkpointing, {});
    field("dtype", dtype, {});
    field("eval_strategy", eval_strategy, {.one_of = {"no", "steps", "epoch"}});
    field("eval_steps", eval_steps, {});
    field("save_strategy", save_strategy, {.one_of = {"no", "steps", "epoch", "best"}});
    field("save_steps", save_steps, {});
    field("save_total_limit", save_total_limit, {});
    field("logging_steps", logging_steps, {});
  }
};

// Keys that another key replaces, in TRL or transformers themselves.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kAliases{
    {{"torch_dtype", "dtype"}, {"evaluation_strategy", "eval_strategy"}}};

// The run file while it is written: sections in order, lines in order.
class RunText {
 public:
  void section(std::string_view name) {
    text_ += fmt::format("{}:\n", name);
  }
  template <class T>
  void line(std::string_view name, T value) {
    text_ += fmt::format("  {}: {}\n", name, value_text(&value));
  }
  void raw(std::string_view line) {
    text_ += line;
  }
  std::string take() {
    return std::move(text_);
  }

 private:
  std::string text_;
};

// Splits off what has no counterpart, each with a warning, and gives the rest its present name.
Section known_part(const Section& root, std::vector<std::string>& warnings) {
  TrlOptions names;
  const std::vector<FieldRef> fields = list_fields(names);
  Section known = root;
  known.entries.clear();
  for (const Section::Entry& entry : root.entries) {
    Section::Entry kept = entry;
    const auto alias =
        std::ranges::find(kAliases, entry.key, [](auto& pair) { return pair.first; });
    if (alias != kAliases.end()) {
      kept.key = alias->second;
    }
    if (std::ranges::find(fields, kept.key, &FieldRef::name) == fields.end()) {
      warnings.push_back(fmt::format("{}: {} has no counterpart", entry.where, entry.key));
    } else if (entry.value.kind != Kind::kNothing || kept.key == "max_length") {
      check(known.find(kept.key) == nullptr,
            "{}: {} and {} are one option, written twice",
            entry.where,
            entry.key,
            kept.key);
      known.entries.push_back(std::move(kept));
    }
  }
  return known;
}

void write_model(const TrlOptions& trl, RunText& out, std::vector<std::string>& warnings) {
  out.section("model");
  out.line("path", trl.model_name_or_path.value_or(""));
  if (!trl.model_name_or_path) {
    warnings.push_back("model_name_or_path is missing: fill in model.path");
  }
  if (trl.dtype == "bfloat16" && trl.use_peft) {
    out.line("precision", std::string("bf16"));
  } else if (trl.dtype != "float32" && trl.dtype != "auto") {
    warnings.push_back(fmt::format("dtype {}: model.precision stays auto", trl.dtype));
  }
}

void write_data(const TrlOptions& trl, RunText& out, std::vector<std::string>& warnings) {
  out.section("data");
  out.line(
      "train",
      trl.dataset_name ? std::vector<std::string>{*trl.dataset_name} : std::vector<std::string>());
  const bool is_file = trl.dataset_name &&
                       (trl.dataset_name->ends_with(".jsonl") ||
                        trl.dataset_name->ends_with(".json") || trl.dataset_name->ends_with(".gz"));
  if (!is_file) {
    warnings.push_back(
        trl.dataset_name
            ? fmt::format(
                  "dataset_name {}: attune reads files; save it as JSONL and name that file in "
                  "data.train",
                  *trl.dataset_name)
            : "dataset_name is missing: name your JSONL file in data.train");
  }
  if (trl.eval_strategy == "no") {
    out.line("held_out_fraction", 0.0);
  }
  if (trl.max_length) {
    out.line("max_tokens", *trl.max_length);
  } else {
    warnings.push_back("max_length null: attune always has a limit; data.max_tokens keeps 1024");
  }
  out.line("truncation",
           std::string(trl.truncation_mode == "keep_end" ? "prompt_left" : "completion_right"));
}

void write_adapter(const TrlOptions& trl, RunText& out, std::vector<std::string>& warnings) {
  out.section("adapter");
  out.line("kind", std::string(trl.use_peft ? "lora" : "none"));
  if (!trl.use_peft) {
    return;
  }
  out.line("rank", trl.lora_r);
  out.line("alpha", trl.lora_alpha);
  out.line("dropout", trl.lora_dropout);
  const bool all = trl.lora_target_modules == std::vector<std::string>{"all-linear"};
  out.line("targets",
           all ? std::vector<std::string>{"q_proj",
                                          "k_proj",
                                          "v_proj",
                                          "o_proj",
                                          "gate_proj",
                                          "up_proj",
                                          "down_proj"}
               : trl.lora_target_modules);
  if (all) {
    warnings.push_back("lora_target_modules all-linear: written as the seven layers of a Llama");
  }
  out.line("rslora", trl.use_rslora);
}

// A loss type of TRL's DPOConfig and the kind that computes it. What differs: docs/PAPERS.md.
struct Loss {
  std::string_view trl;
  std::string_view kind;
  std::string_view scale = "beta";  // the option that TRL's beta becomes; empty: none
  bool smooths = false;             // TRL reads label_smoothing
  double factor = 1;                // TRL's loss over the kind's
  std::string_view more = {};       // further options, a line each
};

constexpr std::array kLosses{
    Loss{.trl = "sigmoid", .kind = "dpo"},
    Loss{.trl = "hinge", .kind = "hinge"},
    Loss{.trl = "ipo", .kind = "ipo", .scale = "tau", .more = "    average: mean\n"},
    Loss{.trl = "sigmoid_norm", .kind = "dpo_norm"},
    Loss{.trl = "exo_pair", .kind = "exo", .smooths = true},
    Loss{.trl = "nca_pair", .kind = "nca"},
    Loss{.trl = "robust", .kind = "robust", .smooths = true},
    Loss{.trl = "bco_pair", .kind = "bco"},
    Loss{.trl = "sppo_hard", .kind = "sppo", .factor = 2, .more = "    targets: hard\n"},
    Loss{.trl = "aot", .kind = "aot"},
    Loss{.trl = "aot_unpaired", .kind = "aot_unpaired"},
    Loss{.trl = "apo_zero", .kind = "apo_zero"},
    Loss{.trl = "apo_down", .kind = "apo_down"},
    Loss{.trl = "discopop", .kind = "discopop"},
    Loss{.trl = "sft", .kind = "nll", .scale = ""},
};

// The loss, and what TRL's switches of the sigmoid loss make of it.
Loss loss_of(const TrlOptions& trl,
             const std::string& type,
             std::string_view where,
             std::string& more) {
  const auto found = std::ranges::find(kLosses, type, &Loss::trl);
  if (found == kLosses.end()) {
    std::vector<std::string_view> names;
    std::ranges::transform(kLosses, std::back_inserter(names), &Loss::trl);
    throw Error(fmt::format("{}: loss_type {} has no counterpart.{} Known: {}",
                            where,
                            quoted_for_message(type),
                            did_you_mean(type, names),
                            fmt::join(names, ", ")));
  }
  Loss loss = *found;
  more = loss.more;
  const bool diverges = trl.f_divergence_type != "reverse_kl";
  const int switches = (diverges ? 1 : 0) + (trl.use_weighting ? 1 : 0) + (trl.ld_alpha ? 1 : 0);
  check(
      switches == 0 || (switches == 1 && type == "sigmoid"),
      "{}: f_divergence_type, use_weighting and ld_alpha have a counterpart one by one and in the "
      "sigmoid loss only, got {}",
      where,
      type);
  if (trl.ld_alpha) {
    loss.kind = "ld_dpo";
    more = fmt::format("    alpha: {}\n", *trl.ld_alpha);
  } else if (trl.use_weighting) {
    loss.kind = "wpo";
  } else if (diverges) {
    loss.kind = "f_dpo";
    // TRL's coefficient is 1 - the paper's alpha.
    more =
        trl.f_divergence_type == "alpha_divergence"
            ? fmt::format("    divergence: alpha\n    alpha: {}\n", 1 - trl.f_alpha_divergence_coef)
            : fmt::format("    divergence: {}\n",
                          trl.f_divergence_type == "js_divergence" ? "js" : "forward_kl");
  } else if (type == "discopop") {
    more = fmt::format("    tau: {}\n", trl.discopop_tau);
  }
  return loss;
}

void write_objective(const TrlOptions& trl,
                     const Section& root,
                     RunText& out,
                     std::vector<std::string>& warnings) {
  const Section* losses = root.find("loss_type");
  const std::string_view where = losses == nullptr ? root.where : losses->where;
  check(trl.loss_weights.empty() || trl.loss_weights.size() == trl.loss_type.size(),
        "{}: loss_weights has {} entries for {} of loss_type",
        root.where,
        trl.loss_weights.size(),
        trl.loss_type.size());
  const double smoothing = trl.label_smoothing.value_or(0);
  out.section("objective");
  for (size_t i = 0; i < trl.loss_type.size(); ++i) {
    std::string more;
    const Loss loss = loss_of(trl, trl.loss_type[i], where, more);
    out.raw(fmt::format("  - kind: {}\n", loss.kind));
    std::optional<double> weight = 1;
    if (!trl.loss_weights.empty()) {
      weight = parse_number(trl.loss_weights[i]);
      check(weight.has_value(),
            "{}: loss_weights must be numbers, got {}",
            root.where,
            quoted_for_message(trl.loss_weights[i]));
    }
    if (*weight * loss.factor != 1) {
      out.raw(fmt::format("    weight: {}\n", *weight * loss.factor));
    }
    if (!loss.scale.empty()) {
      out.raw(fmt::format("    {}: {}\n", loss.scale, trl.beta));
    }
    const bool applies = loss.smooths || loss.kind == "dpo";
    if (smoothing > 0 && applies) {
      out.raw(fmt::format("    label_smoothing: {}\n", smoothing));
    } else if (smoothing > 0) {
      warnings.push_back(
          fmt::format("label_smoothing has no counterpart with loss_type {}", loss.trl));
    } else if (loss.smooths) {
      check(loss.kind != "exo",
            "{}: loss_type exo_pair needs label_smoothing above 0; TRL advises 1e-3",
            where);
      out.raw("    label_smoothing: 0\n");
    }
    if (smoothing > 0 && loss.trl == "sigmoid") {
      warnings.push_back(
          "label_smoothing: TRL ignores it in the sigmoid loss since 0.29; attune applies it");
    }
    if (loss.kind == "nll") {
      warnings.push_back(
          "loss_type sft: TRL's mean is over all tokens of a batch, attune's over each "
          "completion's");
    }
    out.raw(more);
  }
}

void write_optim(const TrlOptions& trl, RunText& out, std::vector<std::string>& warnings) {
  out.section("batch");
  out.line("comparisons", trl.per_device_train_batch_size * trl.gradient_accumulation_steps);
  out.section("optim");
  out.line("lr", trl.learning_rate);
  out.line("beta1", trl.adam_beta1);
  out.line("beta2", trl.adam_beta2);
  out.line("eps", trl.adam_epsilon);
  out.line("weight_decay", trl.weight_decay);
  const std::string schedule =
      trl.lr_scheduler_type == "constant_with_warmup" ? "constant" : trl.lr_scheduler_type;
  if (schedule == "linear" || schedule == "cosine" || schedule == "constant") {
    out.line("schedule", schedule);
  } else {
    warnings.push_back(
        fmt::format("lr_scheduler_type {} has no counterpart; optim.schedule is "
                    "linear",
                    quoted_for_message(schedule)));
  }
  // Without "_with_warmup", transformers' constant schedule ignores the warm-up.
  out.line("warmup_ratio", trl.lr_scheduler_type == "constant" ? 0.0 : trl.warmup_ratio);
  out.line("max_grad_norm", trl.max_grad_norm);
}

void write_train(const TrlOptions& trl, RunText& out, std::vector<std::string>& warnings) {
  out.section("train");
  out.line("output", trl.output_dir.value_or(""));
  if (!trl.output_dir) {
    warnings.push_back("output_dir is missing: fill in train.output");
  }
  const double epochs = std::ceil(trl.num_train_epochs);
  if (epochs != trl.num_train_epochs) {
    warnings.push_back(fmt::format(
        "num_train_epochs {}: train.epochs is whole, {}", trl.num_train_epochs, epochs));
  }
  if (trl.max_steps > 0) {
    // transformers then runs exactly that many steps, over as many epochs as it takes.
    out.line("max_steps", trl.max_steps);
    out.line("epochs", int64_t{1'000'000});
  } else {
    out.line("epochs", std::max<int64_t>(1, static_cast<int64_t>(epochs)));
  }
  out.line("seed", trl.seed);
  if (trl.eval_strategy == "steps") {
    out.line("eval_every", trl.eval_steps);
  }
  if (trl.save_strategy == "steps") {
    out.line("save_every", trl.save_steps);
  }
  if (trl.save_total_limit) {
    out.line("keep", *trl.save_total_limit);
  }
  out.line("checkpointing", trl.gradient_checkpointing);
  out.line("log_every", trl.logging_steps);
}

}  // namespace

TrlImport import_trl(std::string_view text, std::string_view name) {
  TrlImport result;
  const Section root = known_part(parse_run_file(text, name), result.warnings);
  check(!root.entries.empty(),
        "{}: no option of TRL's is in it, so there is nothing to translate. It should be the YAML "
        "file of trl dpo --config",
        name);
  TrlOptions trl;
  read_into(list_fields(trl), root, /*path=*/"");

  RunText out;
  out.raw(fmt::format("# Translated from {}; TRL's defaults are written out.\n", name));
  write_model(trl, out, result.warnings);
  write_data(trl, out, result.warnings);
  write_adapter(trl, out, result.warnings);
  write_objective(trl, root, out, result.warnings);
  if (trl.precompute_ref_log_probs || trl.sync_ref_model) {
    out.section("reference");
  }
  if (trl.precompute_ref_log_probs) {
    out.line("kind", std::string("cached"));
  }
  if (trl.sync_ref_model) {
    out.line("sync_every", trl.ref_model_sync_steps);
    out.line("sync_mix", trl.ref_model_mixup_alpha);
  }
  write_optim(trl, out, result.warnings);
  write_train(trl, out, result.warnings);
  result.yaml = out.take();
  return result;
}

}  // namespace attune::config
