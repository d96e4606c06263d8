#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// DPO with a safety constraint.
///
///   u    = 1 where the column `unsafe` is above `threshold`, else 0                    [S]
///   z    = beta (h[winner] - h[loser])                                                 [P]
///   loss = -log sigmoid(z - delta)                       if the loser alone is unsafe
///          -log sigmoid(-z - delta)                      if the winner alone is
///          0                                             if both are
///          -p log sigmoid(z) - (1 - p) log sigmoid(-z)   if none is                    [P]
///
/// The label is turned round where only the winner is unsafe. A pair that is unsafe on both sides
/// still weighs in the step's mean. Paper: Kim et al. 2025, arXiv:2505.20065; delta leaves the
/// optimum where it is and gets there sooner. reward_S = beta h.
struct SafeDpoOptions {
  static constexpr std::string_view kKind = "safe_dpo";
  static constexpr std::string_view kPaper = "2505.20065";
  static constexpr std::string_view kSummary =
      "SafeDPO: safe completions win over unsafe ones, by a margin of their own";
  static constexpr std::string_view kAdvice =
      "beta 0.1; the column unsafe in data.values; delta 0 is the plain form";
  static constexpr Needs kNeeds{};

  double beta = 0.1;              ///< Pull towards the reference, above 0.
  double delta = 0;               ///< Margin of safe over unsafe, 0 or more.
  std::string unsafe = "unsafe";  ///< Column of data.values: how unsafe a completion is.
  double threshold = 0.5;         ///< Above it a completion is unsafe.

  /// Of data.values.
  [[nodiscard]] std::vector<std::string> columns() const {
    return {unsafe};
  }

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field(
        "delta", delta, {.help = "margin of safe over unsafe, in units of reward", .at_least = 0});
    field("unsafe", unsafe, {.help = "column of data.values that says how unsafe a completion is"});
    field("threshold", threshold, {.help = "above it in that column a completion is unsafe"});
  }
};

TermOutput loss(const TermInput& in, const SafeDpoOptions& options);

}  // namespace attune::objective
