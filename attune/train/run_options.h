// The whole run file as one struct: its sections, its reading and writing, and the checks between
// sections that run before anything is loaded. Free of torch, and complete in this header, so that
// the plain program and the tensor rooms share it.
#pragma once

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attune/adapter/options.h"
#include "attune/config/resolve.h"
#include "attune/config/run_file.h"
#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/core/hint.h"
#include "attune/data/options.h"
#include "attune/model/options.h"
#include "attune/objective/kinds.h"
#include "attune/optim/options.h"
#include "attune/text/unicode.h"
#include "attune/train/options.h"
#include "attune/train/reference_choice.h"

namespace attune::train {

/// Everything that a run file says.
struct RunOptions {
  model::ModelOptions model;
  data::DataOptions data;
  adapter::AdapterOptions adapter;
  std::vector<objective::TermOptions> objective = {{}};  ///< One or more; default: one dpo term.
  ReferenceOptions reference;
  BatchOptions batch;
  optim::OptimOptions optim;
  TrainOptions train;
  std::string source = "run file";  ///< What messages call it: the path that was read.
};

/// The sections of `run` in the order of the file, but `objective`. They live as long as `run`.
inline std::vector<config::SectionRef> list_sections(RunOptions& run) {
  using config::list_fields;
  return {{"model", "what is tuned", list_fields(run.model)},
          {"data", "where preferences come from and how they become tokens", list_fields(run.data)},
          {"adapter", "which parameters are trained", list_fields(run.adapter)},
          {"reference", "the model that the policy is compared with", list_fields(run.reference)},
          {"batch", "how much goes into one step", list_fields(run.batch)},
          {"optim", "how a gradient becomes a step", list_fields(run.optim)},
          {"train", "the loop, its evaluations and its checkpoints", list_fields(run.train)}};
}

/// The kinds that an entry of `objective` may have, the usual one first.
inline std::vector<std::string_view> objective_kinds() {
  std::vector<std::string_view> kinds{objective::DpoOptions::kKind};
  objective::visit_kinds([&](auto options) {
    if (decltype(options)::kKind != kinds.front()) {
      kinds.push_back(decltype(options)::kKind);
    }
  });
  return kinds;
}

/// The terms of an `objective` section.
inline std::vector<objective::TermOptions> read_objective(const config::Section& section) {
  std::vector<objective::TermOptions> terms;
  for (const auto& entry : config::read_terms(section, "objective", objective_kinds())) {
    objective::TermOptions term{entry.kind, entry.weight, {}, entry.where};
    objective::visit_kinds([&](auto options) {
      if (entry.kind == options.kKind) {
        term.options = config::read_fields<decltype(options)>(entry.options, entry.kind);
      }
    });
    terms.push_back(std::move(term));
  }
  return terms;
}

/// A run from its tree. Defaults, then the file, then the flags.
/// @throws Error with the place of what is wrong.
inline RunOptions read_run(config::Section root,
                           std::string_view source,
                           std::span<const config::Flag> flags = {}) {
  if (root.find("objective") == nullptr) {
    // So that --objective.beta has a term to go to.
    config::set(root, "objective.kind", objective::TermOptions().kind, source);
  }
  config::apply(root, flags);
  RunOptions run;
  run.source = source;
  config::read_sections(list_sections(run), root, {"objective"});
  run.objective = read_objective(*root.find("objective"));
  return run;
}

/// A run from a text that messages call `name`.
inline RunOptions read_run_text(std::string_view text,
                                std::string_view name,
                                std::span<const config::Flag> flags = {}) {
  return read_run(config::parse_run_file(text, name), name, flags);
}

/// A run from its file. @throws Error also if the file cannot be read or is empty.
inline RunOptions read_run(const std::filesystem::path& path,
                           std::span<const config::Flag> flags = {}) {
  const std::string text = read_file(path);
  check(text::is_utf8(text), "{}: expected text in UTF-8. Save the file as UTF-8", path.string());
  config::Section root = config::parse_run_file(text, path.string());
  check(!root.entries.empty(),
        "{}: the file holds no option. A start: attune config example > run.yaml",
        path.string());
  return read_run(std::move(root), path.string(), flags);
}

/// The first line of the run.yaml in an output folder: by it a run knows a folder for its own.
inline constexpr std::string_view kRunFileHead =
    "# The settings of the run in this folder, as attune train understood them.\n";

/// The run with every option written out. Reading it back gives the same run exactly.
inline std::string to_yaml(RunOptions run) {
  std::string out;
  for (const config::SectionRef& section : list_sections(run)) {
    out += fmt::format("{}:\n{}", section.name, config::fields_yaml(section.fields, 2));
    if (section.name == "adapter") {
      out += "objective:\n";
      for (const objective::TermOptions& term : run.objective) {
        out += fmt::format("  - kind: {}\n    weight: {}\n", term.kind, term.weight);
        out += std::visit([](const auto& options) { return config::to_yaml(options, 4); },
                          term.options);
      }
    }
  }
  return out;
}

/// What two runs differ in, keys as "optim.lr" and "dpo.beta".
/// @param skip_may_change  Pass over what a resumed run may change.
inline std::vector<config::Difference> compare_runs(RunOptions before,
                                                    RunOptions after,
                                                    bool skip_may_change) {
  std::vector<config::Difference> all;
  const auto add = [&all](std::vector<config::Difference> more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  const auto old_sections = list_sections(before);
  const auto new_sections = list_sections(after);
  for (size_t i = 0; i < old_sections.size(); ++i) {
    add(config::compare(
        old_sections[i].fields, new_sections[i].fields, new_sections[i].name, skip_may_change));
  }
  const auto kinds = [](const RunOptions& run) {
    std::string list;
    for (const objective::TermOptions& term : run.objective) {
      list += (list.empty() ? "" : ", ") + term.kind;
    }
    return "[" + list + "]";
  };
  if (kinds(before) != kinds(after)) {
    all.push_back({"objective", kinds(before), kinds(after)});
    // The new terms' options have no older ones; their own defaults stand in.
    before.objective.clear();
    for (const objective::TermOptions& term : after.objective) {
      objective::TermOptions plain = term;
      plain.weight = 1;
      std::visit([](auto& options) { options = std::remove_cvref_t<decltype(options)>{}; },
                 plain.options);
      before.objective.push_back(std::move(plain));
    }
  }
  for (size_t i = 0; i < before.objective.size(); ++i) {
    objective::TermOptions& term = after.objective[i];
    if (before.objective[i].weight != term.weight) {
      all.push_back({term.kind + ".weight",
                     fmt::format("{}", before.objective[i].weight),
                     fmt::format("{}", term.weight)});
    }
    std::visit(
        [&](auto& options) {
          auto& old_options =
              std::get<std::remove_cvref_t<decltype(options)>>(before.objective[i].options);
          add(config::compare(config::list_fields(old_options),
                              config::list_fields(options),
                              term.kind,
                              skip_may_change));
        },
        term.options);
  }
  return all;
}

/// What differs from the defaults, for the start of a run.
inline std::vector<config::Difference> differs(const RunOptions& run) {
  return compare_runs(RunOptions(), run, /*skip_may_change=*/false);
}

/// What differs and may not in a resumed run.
inline std::vector<config::Difference> resume_difference(const RunOptions& older,
                                                         const RunOptions& newer) {
  return compare_runs(older, newer, /*skip_may_change=*/true);
}

/// What the choice of the run's reference depends on; it refers to `run`.
inline ReferenceQuestion reference_question(const RunOptions& run) {
  return {.options = run.reference,
          .objective = run.objective,
          .full = run.adapter.kind == "none",
          .model_path = run.model.path};
}

/// @throws Error if a term reads a column that `values` does not name, or one is named twice.
inline void check_values(const std::vector<std::string>& values,
                         std::span<const objective::TermOptions> terms,
                         std::string_view at) {
  for (size_t i = 0; i < values.size(); ++i) {
    check(!values[i].empty() &&
              std::find(values.begin(), values.begin() + static_cast<int>(i), values[i]) ==
                  values.begin() + static_cast<int>(i),
          "{}: data.values names a column twice, or one without a name: \"{}\"",
          at,
          values[i]);
  }
  for (const objective::TermOptions& term : terms) {
    for (const std::string& column : objective::columns_of(term)) {
      check(std::find(values.begin(), values.end(), column) != values.end(),
            "{}: objective {} reads the values \"{}\", and data.values does not name that column. "
            "Set data.values: [{}]",
            at,
            term.kind,
            column,
            column);
    }
  }
}

/// The checks between options of different names, before anything is loaded.
/// @throws Error naming both options and what to do.
inline void check_run(RunOptions run) {
  const std::string& at = run.source;
  check(!run.model.path.empty(), "{}: model.path is missing: a Hugging Face folder or .gguf", at);
  check(!run.data.train.empty(), "{}: data.train is missing: the files to train on", at);
  check(!run.train.output.empty(), "{}: train.output is missing: the folder for the result", at);
  const auto place = [](const std::string& path) {
    std::error_code ignored;
    const auto whole = std::filesystem::absolute(path, ignored);
    return (std::filesystem::weakly_canonical(whole, ignored) / "").lexically_normal();
  };
  check(place(run.train.output) != place(run.model.path),
        "{}: train.output and model.path are both {}; the result would overwrite the model",
        at,
        run.model.path);

  const bool full = run.adapter.kind == "none";
  if (full) {
    check(run.model.precision != "bf16",
          "{}: adapter.kind none trains every weight, which bf16 is too coarse for. Set "
          "model.precision: auto or f32, or adapter.kind: lora",
          at);
    adapter::AdapterOptions none;
    none.kind = "none";
    const auto unused = config::compare(
        config::list_fields(none), config::list_fields(run.adapter), "adapter", false);
    check(unused.empty(),
          "{}: {} has no meaning with adapter.kind none. Remove it, or set adapter.kind: lora",
          at,
          unused.empty() ? "" : unused[0].key);
  } else {
    check(!run.adapter.targets.empty(),
          "{}: adapter.targets is empty; name at least one layer, for instance [q_proj, v_proj]",
          at);
    // An adapter that is there may name its layers by a pattern.
    for (const std::string& target : run.adapter.targets) {
      check(!run.adapter.path.empty() || target == adapter::kAllLinear ||
                std::ranges::find(adapter::kLayers, target) != adapter::kLayers.end(),
            "{}: adapter.targets: no layer is called \"{}\".{} Layers: {}",
            at,
            target,
            did_you_mean(target, adapter::kLayers),
            fmt::join(adapter::kLayers, ", "));
    }
  }

  check_reference(reference_question(run), at);

  check(!run.data.max_completion_tokens || *run.data.max_completion_tokens < run.data.window(),
        "{}: data.max_completion_tokens must be < data.max_tokens = {}, got {}",
        at,
        run.data.window(),
        run.data.max_completion_tokens.value_or(0));
  check(run.data.tag_temperature == 1 || !run.data.tag.empty(),
        "{}: data.tag_temperature {} mixes tags, and data.tag names no column of tags",
        at,
        run.data.tag_temperature);
  check(run.data.group_robust == 0 || !run.data.tag.empty(),
        "{}: data.group_robust {} weighs tags, and data.tag names no column of tags",
        at,
        run.data.group_robust);
  for (const objective::TermOptions& term : run.objective) {
    objective::check_together(term);
    check(run.data.group_robust == 0 || !objective::has_one_loss(term),
          "{}: data.group_robust {} weighs tags by the losses of their items, and objective {} "
          "gives every item the whole step's. Take another kind, or set data.group_robust: 0",
          at,
          run.data.group_robust,
          term.kind);
  }
  check_values(run.data.values, run.objective, at);
  const bool held_out = !run.data.held_out.empty() || run.data.held_out_fraction > 0;
  check(held_out || run.train.early_stop_patience == 0,
        "{}: train.early_stop_patience {} needs held-out pairs, and data.held_out_fraction is 0",
        at,
        run.train.early_stop_patience);
  check(run.train.early_stop_patience == 0 || run.reference.sync_every == 0,
        "{}: train.early_stop_patience compares held-out losses, and reference.sync_every moves "
        "what they are measured from. Set one of them to 0",
        at);
  for (const objective::TermOptions& term : run.objective) {
    check(run.train.early_stop_patience == 0 || !objective::moves(term),
          "{}: train.early_stop_patience compares held-out losses, and objective {} changes what "
          "they measure from step to step. Set train.early_stop_patience: 0{}",
          at,
          term.kind,
          term.kind == objective::ConstraintOptions::kKind ? ", or constraint.dual_lr: 0" : "");
  }
  check(held_out || run.train.eval_every == 0,
        "{}: train.eval_every {} needs held-out pairs, and data.held_out_fraction is 0",
        at,
        run.train.eval_every);
}

}  // namespace attune::train
