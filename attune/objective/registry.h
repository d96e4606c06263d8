// The terms that a run's objective can be made of.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "attune/objective/kinds.h"
#include "attune/objective/scores.h"

namespace attune::objective {

/// One term, its options bound.
struct Term {
  std::string kind;
  double weight = 1;
  bool needs_reference = false;  ///< Read off the term's signature.
  std::function<TermOutput(const SequenceLogps&, const SequenceLogps&, const Comparisons&)> run;
};

/// The term that a run file's entry asks for.
Term make_term(const TermOptions& options);

/// A weighted sum of terms.
class Objective {
 public:
  /// @throws Error if there is no term or an option is out of bounds.
  explicit Objective(std::span<const TermOptions> terms);

  [[nodiscard]] bool needs_reference() const;

  /// loss_P = sum_k weight_k loss_k. The rewards are those of the first term.
  /// @param reference  May hold undefined tensors if no term needs it.
  [[nodiscard]] TermOutput run(const SequenceLogps& policy,
                               const SequenceLogps& reference,
                               const Comparisons& pairs) const;

 private:
  std::vector<Term> terms_;
};

}  // namespace attune::objective
