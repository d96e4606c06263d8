// How much the two sides of a loss over labels count.
#pragma once

#include <string_view>

#include "attune/core/error.h"
#include "attune/core/field.h"

namespace attune::objective {

/// Factors of the losses of desirable and of undesirable completions: the options
/// `desirable_weight` and `undesirable_weight` of every kind that has them.
struct LabelWeights {
  double desirable = 1;    ///< 0 or more.
  double undesirable = 1;  ///< 0 or more.

  /// @throws Error naming both options of `kind` if nothing has a weight.
  void check_any(std::string_view kind) const {
    check(desirable > 0 || undesirable > 0,
          "{0}.desirable_weight and {0}.undesirable_weight are both 0: there is nothing to learn. "
          "Set one of them above 0",
          kind);
  }

  template <class Visitor>
  void fields(Visitor&& field) {
    field("desirable_weight",
          desirable,
          {.help = "factor of the desirable completions' loss", .at_least = 0});
    field("undesirable_weight",
          undesirable,
          {.help = "factor of the undesirable completions' loss", .at_least = 0});
  }
};

}  // namespace attune::objective
