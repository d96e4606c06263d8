// Every kind of objective, in alphabetical order: the run file, help and docs/CONFIG.md read this
// list. A new kind is its header and its line here.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "attune/objective/alphapo.h"
#include "attune/objective/anchor.h"
#include "attune/objective/aot.h"
#include "attune/objective/aot_unpaired.h"
#include "attune/objective/apo_down.h"
#include "attune/objective/apo_zero.h"
#include "attune/objective/apo_zero_unpaired.h"
#include "attune/objective/bco.h"
#include "attune/objective/bco_unpaired.h"
#include "attune/objective/beta_dpo.h"
#include "attune/objective/constraint.h"
#include "attune/objective/cpo.h"
#include "attune/objective/discopop.h"
#include "attune/objective/dpo.h"
#include "attune/objective/dpo_free.h"
#include "attune/objective/dpo_norm.h"
#include "attune/objective/dpop.h"
#include "attune/objective/dr_dpo.h"
#include "attune/objective/exo.h"
#include "attune/objective/f_dpo.h"
#include "attune/objective/gdpo.h"
#include "attune/objective/hinge.h"
#include "attune/objective/ipo.h"
#include "attune/objective/kto.h"
#include "attune/objective/ld_dpo.h"
#include "attune/objective/modpo.h"
#include "attune/objective/nca.h"
#include "attune/objective/nll.h"
#include "attune/objective/odpo.h"
#include "attune/objective/orpo.h"
#include "attune/objective/plackett_luce.h"
#include "attune/objective/r_dpo.h"
#include "attune/objective/reward_aware.h"
#include "attune/objective/robust.h"
#include "attune/objective/safe_dpo.h"
#include "attune/objective/simpo.h"
#include "attune/objective/slic.h"
#include "attune/objective/sppo.h"
#include "attune/objective/tdpo.h"
#include "attune/objective/ties.h"
#include "attune/objective/wpo.h"

namespace attune::objective {

/// The options of one term: one alternative a kind.
using KindOptions = std::variant<  //
    AlphapoOptions,
    AnchorOptions,
    AotOptions,
    AotUnpairedOptions,
    ApoDownOptions,
    ApoZeroOptions,
    ApoZeroUnpairedOptions,
    BcoOptions,
    BcoUnpairedOptions,
    BetaDpoOptions,
    ConstraintOptions,
    CpoOptions,
    DiscopopOptions,
    DpoOptions,
    DpoFreeOptions,
    DpoNormOptions,
    DpopOptions,
    DrDpoOptions,
    ExoOptions,
    FDpoOptions,
    GdpoOptions,
    HingeOptions,
    IpoOptions,
    KtoOptions,
    LdDpoOptions,
    ModpoOptions,
    NcaOptions,
    NllOptions,
    OdpoOptions,
    OrpoOptions,
    PlackettLuceOptions,
    RDpoOptions,
    RewardAwareOptions,
    RobustOptions,
    SafeDpoOptions,
    SimpoOptions,
    SlicOptions,
    SppoOptions,
    TdpoOptions,
    TiesOptions,
    WpoOptions>;

/// One entry of the run file's `objective` list.
struct TermOptions {
  std::string kind{DpoOptions::kKind};  ///< Names the alternative that `options` holds.
  double weight = 1;                    ///< The term's factor in the sum, above 0.
  KindOptions options = DpoOptions{};   ///< What the kind itself understands.
  std::string where = {};               ///< Its place in the run file; empty if not from a file.
};

/// What a term asks for, whatever its kind.
inline const Needs& needs_of(const TermOptions& term) {
  return std::visit([](const auto& own) -> const Needs& { return own.kNeeds; }, term.options);
}

/// Whether every item of a term has the step's one loss, so that no item has its own.
inline bool has_one_loss(const TermOptions& term) {
  return std::visit(
      [](const auto& own) {
        return requires {
          own.kOneLoss;
        };
      },
      term.options);
}

/// The checks between options of a term. @throws Error naming both options.
inline void check_together(const TermOptions& term) {
  std::visit(
      [](const auto& own) {
        if constexpr (requires { own.check_together(); }) {
          own.check_together();
        }
      },
      term.options);
}

/// Whether the loss of the same log-probs changes from step to step, by numbers that the term
/// carries: losses of two steps are then of two functions.
inline bool moves(const TermOptions& term) {
  return std::visit(
      [](const auto& own) {
        if constexpr (requires { own.moves(); }) {
          return own.moves();
        } else {
          return false;
        }
      },
      term.options);
}

/// The columns of data.values that a term reads.
inline std::vector<std::string> columns_of(const TermOptions& term) {
  return std::visit(
      [](const auto& own) {
        if constexpr (requires { own.columns(); }) {
          return std::vector<std::string>(own.columns());
        } else {
          return std::vector<std::string>();
        }
      },
      term.options);
}

/// Calls `visit(Options{})` for every kind, in the order of the list.
template <class Visitor>
void visit_kinds(Visitor&& visit) {
  [&]<size_t... I>(std::index_sequence<I...>) {
    (visit(std::variant_alternative_t<I, KindOptions>{}), ...);
  }
  (std::make_index_sequence<std::variant_size_v<KindOptions>>{});
}

}  // namespace attune::objective
