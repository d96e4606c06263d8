// The terms that a run's objective can be made of.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "attune/objective/kinds.h"
#include "attune/objective/term.h"

namespace attune::objective {

/// One term, its options bound.
struct Term {
  std::string kind;
  std::string name = {};  ///< Of its figures: the kind; if the objective has several of it, with
                          ///< the term's number as flags have it: "constraint.1".
  double weight = 1;
  Needs needs;
  std::vector<std::string> columns;  ///< Of feedback.values that it reads.
  /// @throws Error if something that it needs is missing or of another shape.
  std::function<TermOutput(const TermInput&)> run;
};

/// The term that a run file's entry asks for. @throws Error if an option is out of bounds.
Term make_term(const TermOptions& options);

/// What the terms make of a batch together.
struct ObjectiveOutput {
  at::Tensor loss;      ///< One number: the batch's part of the step's loss, nats; undefined if no
                        ///< term has an item here that counts.
  at::Tensor reward_S;  ///< Of the first term that has items, detached.
  /// One a term: its weight times its loss of each item, detached; undefined if it had no item.
  std::vector<at::Tensor> losses;
  std::map<std::string, double> figures;  ///< By the terms' names: "kto.kl" and the like.
};

/// A weighted sum of terms.
class Objective {
 public:
  /// What the terms carry from step to step, one a term.
  using State = std::vector<TermState>;

  /// @throws Error if there is no term or an option is out of bounds.
  explicit Objective(std::span<const TermOptions> terms);

  /// What at least one term needs; `unit` means nothing here.
  [[nodiscard]] const Needs& needs() const {
    return needs_;
  }
  [[nodiscard]] bool uses(Unit unit) const;
  [[nodiscard]] const std::vector<Term>& terms() const {
    return terms_;
  }
  [[nodiscard]] State initial_state() const {
    return State(terms_.size());
  }

  /// loss = sum_k weight_k sum_i (w_i loss_ki) / (sum of w over the whole step). A term is shown
  /// only what it needs. If needs().whole_step, the batch must be the whole step.
  ///
  /// @param step   Sums of weights over the step; a term whose unit weighs 0 says nothing.
  /// @param state  Read, and moved if in.training; null: every term starts anew.
  [[nodiscard]] ObjectiveOutput run(const TermInput& in,
                                    const UnitWeights& step,
                                    State* state = nullptr) const;

 private:
  std::vector<Term> terms_;
  Needs needs_;
};

}  // namespace attune::objective
