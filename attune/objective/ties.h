#pragma once

#include <string>
#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// DPO for comparisons that may end in a tie.
///
///   z = beta (h[winner] - h[loser])                                                    [P]
///   rao_kupper:  P(win)  = sigmoid(z - a),  P(lose) = sigmoid(-z - a),  a = 2 artanh(tie_rate)
///                P(tie)  = (e^(2a) - 1) sigmoid(z - a) sigmoid(-z - a)
///   davidson:    P(win)  = 1 / (1 + e^-z + 2 nu e^(-z/2)),  nu = tie_rate / (1 - tie_rate)
///                P(lose) = e^-z P(win),  P(tie) = 2 nu e^(-z/2) P(win)
///   loss = -log P(outcome)                                                             [P]
///
/// A probability of exactly 1/2 is a tie; at any other p the loss is -p log P(win) - (1 - p) log
/// P(lose). tie_rate is P(tie) at z = 0: 1/2 is the paper's a = log 3 and nu = 1. Paper: Chen et
/// al. 2024, arXiv:2409.17431. reward_S = beta h.
struct TiesOptions {
  static constexpr std::string_view kKind = "ties";
  static constexpr std::string_view kPaper = "2409.17431";
  static constexpr std::string_view kSummary =
      "DPO with ties: a third outcome, by Rao and Kupper or by Davidson";
  static constexpr std::string_view kAdvice = "tie_rate 0.5; a row with probability 0.5 is a tie";
  static constexpr Needs kNeeds{};

  double beta = 0.1;                 ///< Pull towards the reference, above 0.
  std::string model = "rao_kupper";  ///< Of the tie: "rao_kupper" or "davidson".
  double tie_rate = 0.5;             ///< Chance that equals tie, in (0, 1).

  template <class Visitor>
  void fields(Visitor&& field) {
    field("beta", beta, {.help = "pull towards the reference", .above = 0});
    field("model", model, {.help = "what a tie is", .one_of = {"davidson", "rao_kupper"}});
    field("tie_rate", tie_rate, {.help = "chance of a tie between equals", .above = 0, .below = 1});
  }
};

TermOutput loss(const TermInput& in, const TiesOptions& options);

}  // namespace attune::objective
