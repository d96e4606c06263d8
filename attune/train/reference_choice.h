// Which reference a run has, and whether it can give what the objective asks for. Free of torch,
// and complete in this header, as the checks of the run file are.
#pragma once

#include <charconv>
#include <cmath>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "attune/core/error.h"
#include "attune/objective/kinds.h"
#include "attune/train/options.h"

namespace attune::train {

/// What the choice of a reference depends on.
struct ReferenceQuestion {
  ReferenceOptions options;
  std::span<const objective::TermOptions> objective;
  bool full = false;       ///< Every weight is trained: there is no adapter to switch off.
  std::string model_path;  ///< Of the policy.
};

/// A choice.
struct ReferenceChoice {
  ReferenceOptions options;  ///< `kind` is base, model, models, cached or none, never auto.
  std::string why = {};      ///< What made `auto` keep a second copy of the weights; else empty.

  /// For a person: "base", "model (a second copy of the starting weights, which kto needs)".
  [[nodiscard]] std::string text() const {
    std::string text = options.kind;
    if (options.kind == "models") {
      text = fmt::format("{} models, {} mean", options.paths.size(), options.mix);
    }
    text += why.empty() ? "" : fmt::format(" ({})", why);
    if (options.kind != "none" && options.sync_every > 0) {
      text += fmt::format(", pulled to the policy every {} steps", options.sync_every);
    }
    return text;
  }
};

/// Why a term's reference cannot be a table of log-probs; empty: it can.
inline std::string why_inline(const objective::Needs& needs) {
  if (!needs.reference) {
    return {};
  }
  return needs.divergence   ? "compares whole distributions"
         : needs.mismatched ? "scores completions under other prompts"
                            : "";
}

/// The shares of kind models, one for each path.
/// @throws Error if one is no number above 0, if they are not as many as the paths, or if they do
/// not sum to 1.
inline std::vector<double> reference_weights(const ReferenceOptions& options) {
  const size_t count = options.paths.size();
  if (options.weights.empty()) {
    return std::vector<double>(count, 1.0 / static_cast<double>(count));
  }
  check(
      options.weights.size() == count,
      "reference.weights has {} numbers for the {} of reference.paths; give one for each, or none",
      options.weights.size(),
      count);
  std::vector<double> weights;
  double sum = 0;
  for (const std::string& text : options.weights) {
    double weight = 0;
    const char* end = text.data() + text.size();
    const auto [stop, failed] = std::from_chars(text.data(), end, weight);
    check(failed == std::errc() && stop == end && weight > 0 && std::isfinite(weight),
          "reference.weights must be numbers above 0, got {}",
          text);
    weights.push_back(weight);
    sum += weight;
  }
  check(std::abs(sum - 1) < 1e-6, "reference.weights must sum to 1, got {}", sum);
  return weights;
}

/// `auto` resolved: none if no term needs a reference, base with an adapter; without one cached,
/// or, if a term asks for more than a table can give or the reference moves, model: a second copy
/// of the starting weights.
inline ReferenceChoice choose_reference(const ReferenceQuestion& asked) {
  ReferenceChoice choice{.options = asked.options};
  bool needed = false;
  std::string why;
  for (const objective::TermOptions& term : asked.objective) {
    needed = needed || objective::needs_of(term).reference;
    if (why.empty() && !why_inline(objective::needs_of(term)).empty()) {
      why = fmt::format("a second copy of the starting weights, which {} needs", term.kind);
    }
  }
  if (why.empty() && asked.options.sync_every > 0) {
    why = "a second copy of the starting weights, which reference.sync_every pulls along";
  }
  if (!needed) {
    choice.options.kind = "none";
  } else if (asked.options.kind == "auto") {
    choice.options.kind = !asked.full ? "base" : why.empty() ? "cached" : "model";
    if (choice.options.kind == "model") {
      choice.options.path = asked.model_path;
      choice.why = why;
    }
  }
  return choice;
}

/// The options that kind models has.
inline void check_several(const ReferenceQuestion& asked, const std::string& at) {
  const ReferenceOptions& options = asked.options;
  if (options.kind != "models") {
    for (const auto& [name, unused] : {std::pair("paths", options.paths.empty()),
                                       std::pair("weights", options.weights.empty()),
                                       std::pair("mix", options.mix == ReferenceOptions().mix)}) {
      check(unused,
            "{}: reference.{} has no meaning with reference.kind {}. Set reference.kind: models",
            at,
            name,
            options.kind);
    }
    return;
  }
  check(options.paths.size() > 1,
        "{}: reference.kind models needs two models or more in reference.paths, got {}. For one, "
        "set reference.kind: model and reference.path",
        at,
        options.paths.size());
  try {
    reference_weights(options);
  } catch (const Error& e) {
    throw Error(fmt::format("{}: {}", at, e.what()));
  }
  for (const objective::TermOptions& term : asked.objective) {
    const objective::Needs& needs = objective::needs_of(term);
    check(!needs.reference || !needs.divergence,
          "{}: objective {} compares whole distributions, which a mixture of reference.kind models "
          "does not give. Set reference.kind: model",
          at,
          term.kind);
    check(!needs.reference || !needs.tokens || options.mix == "geometric",
          "{}: objective {} needs the reference's log-prob of each token, and reference.mix mrpo "
          "mixes whole completions. Set reference.mix: geometric",
          at,
          term.kind);
  }
}

/// The options that move the reference.
inline void check_moving(const ReferenceQuestion& asked, const std::string& at) {
  const ReferenceOptions& options = asked.options;
  check(options.sync_every > 0 || options.sync_mix == ReferenceOptions().sync_mix,
        "{}: reference.sync_mix has no meaning without reference.sync_every, the steps between "
        "pulls",
        at);
  check(options.sync_every == 0 || options.kind == "auto" || options.kind == "base" ||
            options.kind == "model",
        "{}: reference.sync_every pulls one model along, and reference.kind is {}. Set "
        "reference.kind: auto",
        at,
        options.kind);
  check(options.sync_every == 0 || choose_reference(asked).options.kind != "none",
        "{}: reference.sync_every has no meaning: no objective of this run needs a reference",
        at);
}

/// @param at  What messages call the run file.
/// @throws Error naming the options or terms that fight, and what to do.
inline void check_reference(const ReferenceQuestion& asked, const std::string& at) {
  const std::string& kind = asked.options.kind;
  check(kind != "model" || !asked.options.path.empty(),
        "{}: reference.kind model needs reference.path, the model to compare with",
        at);
  check(kind == "model" || asked.options.path.empty(),
        "{}: reference.path has no meaning with reference.kind {}. Set reference.kind: model",
        at,
        kind);
  check(kind != "base" || !asked.full,
        "{}: reference.kind base is the model with its adapter off, and adapter.kind is none. Set "
        "reference.kind: cached",
        at);
  check_several(asked, at);
  check_moving(asked, at);
  for (const objective::TermOptions& term : asked.objective) {
    const objective::Needs& needs = objective::needs_of(term);
    check(
        kind != "none" || !needs.reference,
        "{}: objective {} needs a reference, and reference.kind is none. Set reference.kind: auto",
        at,
        term.kind);
    const std::string why = why_inline(needs);
    check(kind != "cached" || why.empty(),
          "{}: objective {} {}, which the table of reference.kind cached does not hold. Set "
          "reference.kind: {}",
          at,
          term.kind,
          why,
          asked.full ? "model, and reference.path: " + asked.model_path : "base");
  }
}

}  // namespace attune::train
