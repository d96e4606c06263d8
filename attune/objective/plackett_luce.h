#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// DPO on rankings: the Plackett-Luce model of picking the best, then the best of the rest.
///
///   z    = beta (policy.sum - reference.sum)                                   [S]
///   loss = sum_k [ log( exp z_k + sum_{j worse than k} exp z_j ) - z_k ]       [G]
///
/// k runs over the ranked completions of a prompt. Paper: Rafailov et al. 2023, arXiv:2305.18290,
/// app. A.3, eq. 20. Completions of one rank are not compared with each other: a tie says nothing
/// of the two, and each of them is picked before those that are worse. reward_S = z.
struct PlackettLuceOptions {
  static constexpr std::string_view kKind = "plackett_luce";
  static constexpr std::string_view kPaper = "2305.18290";
  static constexpr std::string_view kSummary =
      "DPO on whole rankings: the Plackett-Luce likelihood of the order";
  static constexpr std::string_view kAdvice = "as dpo: beta 0.1; rows with scores or a ranking";
  static constexpr Needs kNeeds{.unit = Unit::kGroup};

  double beta = 0.1;  ///< Pull towards the reference, above 0.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
  }
};

TermOutput loss(const TermInput& in, const PlackettLuceOptions& options);

}  // namespace attune::objective
