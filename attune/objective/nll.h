#pragma once

#include <string_view>

#include "attune/core/field.h"
#include "attune/objective/needs.h"

namespace attune::objective {

struct TermInput;
struct TermOutput;

/// The winners' negative log-likelihood: supervised fine-tuning, for use beside other terms.
///
///   nll  = -policy.sum / policy.count                                         [S]
///   loss = p nll[winner] + (1 - p) nll[loser]                                 [P]
///
/// Paper: Pang et al. 2024, arXiv:2404.19733, the second part of its loss: a mean over the tokens
/// of each completion, so that long ones weigh no more than short ones. reward_S = policy.sum /
/// count.
struct NllOptions {
  static constexpr std::string_view kKind = "nll";
  static constexpr std::string_view kPaper = "2404.19733";
  static constexpr std::string_view kSummary =
      "The winners' negative log-likelihood per token: fine-tuning, beside other terms";
  static constexpr std::string_view kAdvice =
      "weight 1 beside dpo with beta 0.1 (Pang et al.), or 0.005 with beta 0.01 (Liu et al.)";
  static constexpr Needs kNeeds{.reference = false};

  template <class Visitor>
  void fields(Visitor&& /*field*/) {}
};

TermOutput loss(const TermInput& in, const NllOptions& options);

}  // namespace attune::objective
