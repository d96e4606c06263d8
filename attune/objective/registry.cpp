#include "attune/objective/registry.h"

#include <algorithm>
#include <variant>

#include <ATen/TensorOperators.h>

#include "attune/config/fields.h"
#include "attune/core/error.h"

namespace attune::objective {
namespace {

// The input without what the term does not ask for: what it reads undeclared is undefined.
TermInput shown(const TermInput& in, const Term& term, TermState* state) {
  const Needs& needs = term.needs;
  TermInput out{.policy = {.sum_S = in.policy.sum_S, .count_S = in.policy.count_S},
                .feedback = {.pairs = in.feedback.pairs},
                .state = state,
                .training = in.training};
  const auto keep = [](bool needed, const at::Tensor& from, at::Tensor& to) {
    if (needed) {
      to = from;
    }
  };
  keep(needs.tokens, in.policy.token_C, out.policy.token_C);
  keep(needs.divergence, in.policy.divergence_S, out.policy.divergence_S);
  keep(needs.concentration, in.policy.concentration_C, out.policy.concentration_C);
  if (needs.reference) {
    out.reference = {.sum_S = in.reference.sum_S, .count_S = in.reference.count_S};
    keep(needs.tokens, in.reference.token_C, out.reference.token_C);
  }
  const bool label = needs.unit == Unit::kLabel;
  const bool group = needs.unit == Unit::kGroup;
  const bool tokens = needs.tokens || needs.concentration;
  keep(label, in.feedback.label_S, out.feedback.label_S);
  keep(label, in.feedback.label_weight_S, out.feedback.label_weight_S);
  keep(group, in.feedback.rank_S, out.feedback.rank_S);
  const bool prompts = needs.mismatched || needs.groups;
  keep(group || prompts, in.feedback.group_S, out.feedback.group_S);
  keep(group, in.feedback.group_weight_G, out.feedback.group_weight_G);
  keep(needs.scores, in.feedback.score_S, out.feedback.score_S);
  keep(prompts, in.feedback.mismatched_S, out.feedback.mismatched_S);
  keep(tokens, in.feedback.sequence_C, out.feedback.sequence_C);
  for (const std::string& column : term.columns) {
    const auto at = in.feedback.values.find(column);
    check(at != in.feedback.values.end(),
          "{}: the data has no values \"{}\"; name the column in data.values",
          term.kind,
          column);
    out.feedback.values.insert(*at);
  }
  return out;
}

// Several terms of a kind are told apart by their numbers in the list.
void name_apart(std::vector<Term>& terms) {
  for (size_t k = 0; k < terms.size(); ++k) {
    const std::string& kind = terms[k].kind;
    const bool alone = std::count_if(terms.begin(), terms.end(), [&](const Term& t) {
                         return t.kind == kind;
                       }) == 1;
    terms[k].name = alone ? kind : fmt::format("{}.{}", kind, k);
  }
}

const at::Tensor& weights_of(Unit unit, const Feedback& feedback) {
  return unit == Unit::kPair    ? feedback.pairs.weight_P
         : unit == Unit::kLabel ? feedback.label_weight_S
                                : feedback.group_weight_G;
}

}  // namespace

Term make_term(const TermOptions& options) {
  Term term{.kind = options.kind,
            .weight = options.weight,
            .needs = {},
            .columns = columns_of(options),
            .run = {}};
  std::visit(
      [&term](const auto& own) {
        config::check_fields(own, own.kKind);
        term.kind = own.kKind;
        term.needs = own.kNeeds;
        term.run = [own](const TermInput& in) {
          check_input(own.kKind, own.kNeeds, in);
          return loss(in, own);
        };
      },
      options.options);
  check_together(options);
  check(options.weight > 0, "{}.weight must be > 0, got {}", term.kind, options.weight);
  return term;
}

Objective::Objective(std::span<const TermOptions> terms) {
  check(!terms.empty(), "objective: no term; name at least one, for instance kind: dpo");
  needs_.reference = false;
  for (const TermOptions& options : terms) {
    terms_.push_back(make_term(options));
    needs_ = needs_ | terms_.back().needs;
  }
  name_apart(terms_);
}

bool Objective::uses(Unit unit) const {
  return std::any_of(
      terms_.begin(), terms_.end(), [unit](const Term& term) { return term.needs.unit == unit; });
}

ObjectiveOutput Objective::run(const TermInput& in, const UnitWeights& step, State* state) const {
  ObjectiveOutput total;
  total.losses.resize(terms_.size());
  for (size_t k = 0; k < terms_.size(); ++k) {
    const Term& term = terms_[k];
    const double weight = step.of(term.needs.unit);
    const at::Tensor& weight_I = weights_of(term.needs.unit, in.feedback);
    if (weight == 0 || weight_I.size(0) == 0) {
      continue;  // nothing here to say something of
    }
    const TermOutput out = term.run(shown(in, term, state == nullptr ? nullptr : &state->at(k)));
    const at::Tensor part = (weight_I * (term.weight / weight) * out.loss_I).sum();
    total.losses[k] = term.weight * out.loss_I.detach();
    total.loss = total.loss.defined() ? total.loss + part : part;
    if (!total.reward_S.defined()) {
      total.reward_S = out.reward_S;
    }
    for (const auto& [name, value] : out.figures) {
      total.figures[term.name + "." + name] = value;
    }
  }
  return total;
}

}  // namespace attune::objective
