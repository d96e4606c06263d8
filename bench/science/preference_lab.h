// Trains a table-sized policy on preferences from a bigram world, through attune's objectives, and
// measures exactly what came of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "attune/objective/registry.h"

#include "bench/science/bigram_world.h"

namespace attune::science {

/// A comparison between two completions of a group.
struct Comparison {
  int winner = 0;
  int loser = 0;
  double probability = 1;  ///< That the winner is preferred.
};

/// Several completions of one prompt and what was said of them.
struct Group {
  std::vector<Completion> completions;
  std::vector<Comparison> comparisons;
  std::vector<int> labels;  ///< 1 desirable, -1 undesirable, 0 not said; one a completion.
};

/// How preferences come about. Completions are drawn from the reference.
struct FeedbackOptions {
  int groups = 3000;
  int completions = 2;        ///< Of a group; every two of them are compared.
  double flipped = 0;         ///< Share of the comparisons with the wrong side winning.
  bool soft = false;          ///< Comparisons carry their probability in place of an answer.
  bool certain = false;       ///< The better one always wins; else with sigmoid(difference).
  double length_bonus = 0;    ///< Added for each token to the reward that people see.
  double keep_desirable = 1;  ///< Share of the desirable labels that is kept.
};

/// The answers of Bradley and Terry's people about a world. A completion is desirable if it only
/// wins, undesirable if it only loses, as in attune's own batches.
std::vector<Group> ask(const BigramWorld& world, const FeedbackOptions& options, uint64_t seed);

/// What is trained on a batch: one of attune's objectives, or a baseline that attune has not.
struct Method {
  std::string name;
  objective::Needs needs;
  /// The batch's loss; undefined if the batch says nothing to it.
  std::function<at::Tensor(
      const objective::TermInput&, const objective::UnitWeights&, objective::Objective::State*)>
      loss;
  objective::Objective::State state = {};
  std::vector<std::string> columns = {};  ///< Of feedback.values; each holds the true reward.
};

/// The objective of a run file's `objective` section, as in "{kind: dpo, beta: 0.3}".
/// @throws Error as a run file does.
Method attune_method(std::string name, const std::string& objective);

/// Fine-tuning on winners away from losers: loss = -log pi(y_w) + alpha log pi(y_l), the baseline
/// of Rafailov et al. 2023, arXiv:2305.18290, section 6.
Method unlikelihood(double alpha);

/// R-DPO with the sign of its length term turned: -log sigmoid(beta D - alpha (n_w - n_l)).
Method wrong_sign_r_dpo(double beta, double alpha);

/// How the policy is trained: Adam, cosine schedule, no warm-up.
struct TrainOptions {
  int steps = 1500;
  int groups_per_step = 32;
  double lr = 0.02;
  uint64_t seed = 0;
  int trace_every = 0;  ///< Steps between two entries of the trace; 0: none.
};

/// What a trained policy does, and what became of the data it was trained on.
struct Outcome {
  Exact exact;
  double gain = 0;              ///< Expected reward above the reference's.
  double efficiency = 0;        ///< gain / the largest gain at the same KL; 0 at KL 0.
  double winner_change = 0;     ///< Mean log pi(y_w)/pi_ref(y_w) over the comparisons, nats.
  double loser_change = 0;      ///< The same of the losers.
  double loser_divergence = 0;  ///< Mean sum_t KL(ref || policy) along the losers.
  double winner_tokens = 0;     ///< Mean length of winners and of losers in the data.
  double loser_tokens = 0;
  std::vector<Frontier::Point> trace = {};  ///< (step, mean margin D of the comparisons).
  Policy policy = {};
};

/// Trains W and U from the reference's values. The same arguments give the same bits.
Outcome train(const BigramWorld& world,
              const Frontier& frontier,
              const std::vector<Group>& data,
              Method method,
              const TrainOptions& options);

}  // namespace attune::science
