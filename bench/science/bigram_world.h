// A toy language in which expected reward, KL and the best achievable trade of one for the other
// are computed exactly, so that what an objective makes of preferences can be measured without a
// model in between.
#pragma once

#include <cstdint>
#include <vector>

#include "attune/core/random.h"

namespace attune::science {

/// What a world is like.
struct WorldOptions {
  int vocabulary = 14;      ///< V, tokens; at least 2.
  int prompts = 6;          ///< X; at least 1.
  int max_tokens = 8;       ///< A completion is cut after so many.
  double mean_tokens = 0;   ///< Of a completion under the reference, in which token 0 is the end;
                            ///< 0: no token ends, all completions have max_tokens.
  double logit_std = 1;     ///< Of the reference's random tables; 0: uniform.
  double reward_std = 1.5;  ///< Of a completion's reward under the reference, within a prompt.
};

/// A prompt's answer.
struct Completion {
  int prompt = 0;
  std::vector<int> tokens = {};
};

/// log pi(token | prompt, previous token) as a table [slice][X][V + 1][V]; state V is the start.
/// One slice: the same at every position; else a slice a position.
struct Policy {
  std::vector<double> logp;
};

/// Exact means over the completions of a policy, and over prompts.
struct Exact {
  double reward = 0;      ///< Expected reward.
  double reward_std = 0;  ///< Its deviation within a prompt.
  double kl = 0;          ///< KL(policy || reference), nats a completion.
  double tokens = 0;      ///< Expected length, the end token counted.
};

/// The language, its reference policy and its true reward.
///
///   log pi(y|x) = sum_t log softmax(W[y_{t-1}] + U[x])[y_t]
///   r(y)        = sum_t w[y_t] + B[y_{t-1}, y_t]
///
/// Where completions end by a token, the reward of the end is 0 and that of the other tokens is 0
/// on average in each state under the reference: a longer completion is worth no more by itself.
class BigramWorld {
 public:
  /// A world drawn at random. @throws Error if the reference cannot be so long on average.
  BigramWorld(const WorldOptions& options, uint64_t seed);

  [[nodiscard]] const WorldOptions& options() const {
    return options_;
  }
  [[nodiscard]] const Policy& reference() const {
    return reference_;
  }
  /// The reference's tables W [(V + 1) V] and U [X V].
  [[nodiscard]] const std::vector<double>& state_logits() const {
    return state_logits_;
  }
  [[nodiscard]] const std::vector<double>& prompt_logits() const {
    return prompt_logits_;
  }

  /// The policy of other tables, in the layout of state_logits() and prompt_logits().
  [[nodiscard]] Policy policy(const std::vector<double>& state_logits,
                              const std::vector<double>& prompt_logits) const;
  /// The row of a policy's table: log-probs of the V tokens at a position.
  [[nodiscard]] const double* row(const Policy& policy, int position, int prompt, int state) const;

  [[nodiscard]] double reward(const Completion& completion) const;
  /// log pi(y|x), nats.
  [[nodiscard]] double logp(const Policy& policy, const Completion& completion) const;
  /// sum_t KL(reference || policy) over the vocabulary, along a completion.
  [[nodiscard]] double divergence(const Policy& policy, const Completion& completion) const;
  [[nodiscard]] Completion sample(const Policy& policy, int prompt, RandomStream& random) const;

  /// By dynamic programming over positions, without sampling.
  [[nodiscard]] Exact exact(const Policy& policy) const;
  /// The policy that maximises E[r] - beta KL over all policies, by soft value iteration:
  ///
  ///   V_T = 0,  Q_t(s, a) = log ref(a|s) + (r(s, a) + V_{t+1}(a)) / beta
  ///   log pi_t(.|s) = Q_t - logsumexp(Q_t),  V_t(s) = beta logsumexp(Q_t)
  [[nodiscard]] Policy optimum(double beta) const;

  /// The state before the first token.
  [[nodiscard]] int start() const {
    return options_.vocabulary;
  }
  /// Whether nothing follows `token`.
  [[nodiscard]] bool ends(int token) const {
    return options_.mean_tokens > 0 && token == 0;
  }

 private:
  [[nodiscard]] double step_reward(int state, int token) const {
    return step_rewards_[state * options_.vocabulary + token];
  }
  void lengthen_reference();
  void draw_rewards(RandomStream& random);

  WorldOptions options_;
  std::vector<double> state_logits_;   // [V + 1][V]
  std::vector<double> prompt_logits_;  // [X][V]
  std::vector<double> step_rewards_;   // [V + 1][V]
  Policy reference_;
};

/// The largest gain in reward at each KL: what a method's gain is compared with.
class Frontier {
 public:
  explicit Frontier(const BigramWorld& world);

  struct Point {
    double kl = 0;
    double gain = 0;  ///< Expected reward above the reference's.
  };

  /// Linear in sqrt(kl) between computed optima; past the last it stays level.
  [[nodiscard]] double gain_at(double kl) const;
  /// In rising order of kl, from (0, 0).
  [[nodiscard]] const std::vector<Point>& points() const {
    return points_;
  }

 private:
  std::vector<Point> points_;
};

}  // namespace attune::science
