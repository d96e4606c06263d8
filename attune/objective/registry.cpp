#include "attune/objective/registry.h"

#include <type_traits>
#include <variant>

#include <ATen/TensorOperators.h>

#include "attune/config/fields.h"
#include "attune/core/error.h"
#include "attune/objective/dpo.h"

namespace attune::objective {
namespace {

// Whether a term needs a reference is read off its signature.
template <auto kTerm, class Options>
Term bind(const Options& options) {
  constexpr bool kFree = std::is_invocable_v<decltype(kTerm), SequenceLogps, Comparisons, Options>;
  static_assert(kFree != Options::kNeedsReference, "kNeedsReference contradicts the signature");
  Term term{.kind = std::string(Options::kKind), .needs_reference = !kFree, .run = {}};
  if constexpr (kFree) {
    term.run = [options](const auto& policy, const auto&, const auto& pairs) {
      return kTerm(policy, pairs, options);
    };
  } else {
    term.run = [options](const auto& policy, const auto& reference, const auto& pairs) {
      return kTerm(policy, reference, pairs, options);
    };
  }
  return term;
}

// One line a kind.
Term bind_kind(const DpoOptions& options) {
  return bind<dpo>(options);
}

}  // namespace

Term make_term(const TermOptions& options) {
  Term term = std::visit(
      [](const auto& own) {
        config::check_fields(own, own.kKind);
        return bind_kind(own);
      },
      options.options);
  check(options.weight > 0, "{}.weight must be > 0, got {}", term.kind, options.weight);
  term.weight = options.weight;
  return term;
}

Objective::Objective(std::span<const TermOptions> terms) {
  check(!terms.empty(), "objective: no term; name at least one, for instance kind: dpo");
  for (const TermOptions& options : terms) {
    terms_.push_back(make_term(options));
  }
}

bool Objective::needs_reference() const {
  for (const Term& term : terms_) {
    if (term.needs_reference) {
      return true;
    }
  }
  return false;
}

TermOutput Objective::run(const SequenceLogps& policy,
                          const SequenceLogps& reference,
                          const Comparisons& pairs) const {
  TermOutput total;
  for (const Term& term : terms_) {
    const TermOutput out = term.run(policy, reference, pairs);
    if (!total.loss_P.defined()) {
      total = {.loss_P = term.weight * out.loss_P, .reward_S = out.reward_S};
    } else {
      total.loss_P = total.loss_P + term.weight * out.loss_P;
    }
  }
  return total;
}

}  // namespace attune::objective
