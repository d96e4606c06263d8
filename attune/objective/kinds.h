// Every kind of objective, in alphabetical order: the run file, help and docs/CONFIG.md read this
// list. A new kind is its options header and one line here.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "attune/objective/dpo_options.h"

namespace attune::objective {

/// The options of one term: one alternative a kind.
using KindOptions = std::variant<  //
    DpoOptions>;

/// One entry of the run file's `objective` list.
struct TermOptions {
  std::string kind{DpoOptions::kKind};  ///< Names the alternative that `options` holds.
  double weight = 1;                    ///< The term's factor in the sum, above 0.
  KindOptions options;                  ///< What the kind itself understands.
  std::string where;                    ///< Its place in the run file; empty if not from a file.
};

/// Calls `visit(Options{})` for every kind, in the order of the list.
template <class Visitor>
void visit_kinds(Visitor&& visit) {
  [&]<size_t... I>(std::index_sequence<I...>) {
    (visit(std::variant_alternative_t<I, KindOptions>{}), ...);
  }
  (std::make_index_sequence<std::variant_size_v<KindOptions>>{});
}

}  // namespace attune::objective
