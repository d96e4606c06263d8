// What a term must be given. Plain, so that help and the run file's checks read it too.
#pragma once

namespace attune::objective {

/// What a term's loss is a list over, and so what its mean divides by.
enum class Unit {
  kPair,   ///< P comparisons.
  kLabel,  ///< S completions that are labelled desirable or undesirable.
  kGroup,  ///< G prompts with a ranking of all their completions.
};

/// What is computed or read for a term only because it asks. What it does not ask for is undefined
/// in its input.
struct Needs {
  Unit unit = Unit::kPair;
  bool reference = true;       ///< Log-probs under the reference.
  bool tokens = false;         ///< The log-prob of each token.
  bool divergence = false;     ///< KL(reference || policy) at each token, over the vocabulary.
  bool concentration = false;  ///< log sum_v pi(v)^2 at each token.
  bool scores = false;         ///< A score for each completion.
  bool mismatched = false;     ///< Completions of other prompts, for KTO's estimate of the KL.
  bool groups = false;         ///< Which completions share a prompt, and which are of another.
  bool whole_step = false;  ///< Couples its items: sees a whole step at once, and may hold state.
};

constexpr Needs operator|(Needs a, const Needs& b) {
  a.reference |= b.reference;
  a.tokens |= b.tokens;
  a.divergence |= b.divergence;
  a.concentration |= b.concentration;
  a.scores |= b.scores;
  a.mismatched |= b.mismatched;
  a.groups |= b.groups;
  a.whole_step |= b.whole_step;
  return a;
}

}  // namespace attune::objective
