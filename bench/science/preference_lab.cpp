#include "bench/science/preference_lab.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/zeros.h>

#include "attune/core/error.h"
#include "attune/optim/adamw.h"
#include "attune/optim/schedule.h"
#include "attune/train/run_options.h"

#include "bench/science/one_thread.h"

namespace attune::science {
namespace {

at::Tensor floats(const std::vector<double>& values) {
  at::Tensor made = at::empty({static_cast<int64_t>(values.size())}, at::kDouble);
  std::copy(values.begin(), values.end(), made.data_ptr<double>());
  return made;
}

at::Tensor integers(const std::vector<int64_t>& values) {
  at::Tensor made = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), made.data_ptr<int64_t>());
  return made;
}

std::vector<double> values_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

// A batch as flat lists: what log-probs to look up in the policy's table, and the feedback.
struct Batch {
  objective::Feedback feedback;
  objective::UnitWeights weights;
  at::Tensor count_S;
  at::Tensor cell_C;   // place in the table [X][V + 1][V] of each token
  at::Tensor state_C;  // place of its row, [X][V + 1]
};

class BatchMaker {
 public:
  BatchMaker(const BigramWorld& world, const std::vector<std::string>& columns)
      : world_(world), columns_(columns) {}

  // The groups at `picked`, each with one completion of another prompt.
  Batch make(const std::vector<Group>& data, const std::vector<int64_t>& picked) {
    for (size_t i = 0; i < picked.size(); ++i) {
      const Group& group = data[picked[i]];
      add_comparisons(group);
      const double label_weight = static_cast<double>(group.completions.size() - 1);
      for (size_t k = 0; k < group.completions.size(); ++k) {
        const Completion& completion = group.completions[k];
        add_tokens(completion, group.completions[0].prompt, static_cast<int64_t>(i));
        label_.push_back(group.labels[k]);
        label_weight_.push_back(group.labels[k] == 0 ? 0 : label_weight);
        score_.push_back(world_.reward(completion));
        mismatched_.push_back(0);
      }
      add_ranking(group);
      add_stranger(data, picked, i);
    }
    return lift();
  }

 private:
  void add_comparisons(const Group& group) {
    const auto first = static_cast<int64_t>(count_.size());
    for (const Comparison& comparison : group.comparisons) {
      winner_.push_back(first + comparison.winner);
      loser_.push_back(first + comparison.loser);
      probability_.push_back(comparison.probability);
    }
  }

  void add_tokens(const Completion& completion, int prompt, int64_t group) {
    const auto sequence = static_cast<int64_t>(count_.size());
    const int V = world_.options().vocabulary;
    int state = world_.start();
    for (const int token : completion.tokens) {
      sequence_.push_back(sequence);
      state_.push_back(prompt * (V + 1) + state);
      cell_.push_back(state_.back() * V + token);
      state = token;
    }
    count_.push_back(static_cast<double>(completion.tokens.size()));
    group_.push_back(group);
  }

  // By wins; a group is ranked if no two completions have won equally often.
  void add_ranking(const Group& group) {
    const size_t K = group.completions.size();
    std::vector<int64_t> losses(K, 0);
    for (const Comparison& comparison : group.comparisons) {
      ++losses[comparison.loser];
    }
    std::vector<int64_t> sorted = losses;
    std::sort(sorted.begin(), sorted.end());
    const bool ranked = std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
    for (const int64_t place : losses) {
      rank_.push_back(ranked ? place : -1);
    }
    group_weight_.push_back(ranked ? 1 : 0);
  }

  void add_stranger(const std::vector<Group>& data, const std::vector<int64_t>& picked, size_t i) {
    const int prompt = data[picked[i]].completions[0].prompt;
    for (size_t ahead = 1; ahead < picked.size(); ++ahead) {
      const Completion& other = data[picked[(i + ahead) % picked.size()]].completions[0];
      if (other.prompt != prompt) {
        add_tokens(other, prompt, static_cast<int64_t>(i));
        label_.push_back(0);
        label_weight_.push_back(0);
        score_.push_back(std::numeric_limits<double>::quiet_NaN());
        mismatched_.push_back(1);
        rank_.push_back(-1);
        return;
      }
    }
  }

  [[nodiscard]] Batch lift() const {
    Batch batch;
    objective::Feedback& feedback = batch.feedback;
    const std::vector<double> ones(winner_.size(), 1);
    feedback.pairs = {integers(winner_), integers(loser_), floats(probability_), floats(ones)};
    feedback.label_S = floats(label_);
    feedback.label_weight_S = floats(label_weight_);
    feedback.rank_S = integers(rank_);
    feedback.group_S = integers(group_);
    feedback.group_weight_G = floats(group_weight_);
    feedback.score_S = floats(score_);
    feedback.mismatched_S = floats(mismatched_).to(at::kBool);
    feedback.sequence_C = integers(sequence_);
    for (const std::string& column : columns_) {
      feedback.values[column] = feedback.score_S;
    }
    const auto sum = [](const std::vector<double>& list) {
      double total = 0;
      for (const double x : list) {
        total += x;
      }
      return total;
    };
    batch.weights = {.pair = sum(ones), .label = sum(label_weight_), .group = sum(group_weight_)};
    batch.count_S = floats(count_);
    batch.cell_C = integers(cell_);
    batch.state_C = integers(state_);
    return batch;
  }

  const BigramWorld& world_;
  const std::vector<std::string>& columns_;
  std::vector<int64_t> winner_, loser_, sequence_, state_, cell_, rank_, group_;
  std::vector<double> probability_, count_, label_, label_weight_, score_, mismatched_,
      group_weight_;
};

// The policy that is trained: its tables as leaves, and the batch's numbers under it.
class Learner {
 public:
  explicit Learner(const BigramWorld& world)
      : X_(world.options().prompts),
        V_(world.options().vocabulary),
        state_logits_(floats(world.state_logits()).view({V_ + 1, V_}).set_requires_grad(true)),
        prompt_logits_(floats(world.prompt_logits()).view({X_, V_}).set_requires_grad(true)),
        reference_(floats(world.reference().logp).view({X_, V_ + 1, V_})) {}

  [[nodiscard]] std::vector<at::Tensor> parameters() const {
    return {state_logits_, prompt_logits_};
  }

  [[nodiscard]] Policy policy(const BigramWorld& world) const {
    return world.policy(values_of(state_logits_), values_of(prompt_logits_));
  }

  [[nodiscard]] objective::TermInput read(const Batch& batch, const objective::Needs& needs) const {
    const at::Tensor table =
        at::log_softmax(state_logits_.unsqueeze(0) + prompt_logits_.unsqueeze(1), -1);
    objective::TermInput in{.policy = look_up(table, batch), .feedback = batch.feedback};
    in.reference = look_up(reference_, batch);
    if (needs.divergence) {
      const at::Tensor row_kl = (reference_.exp() * (reference_ - table)).sum(-1).view(-1);
      in.policy.divergence_S = by_sequence(row_kl.index_select(0, batch.state_C), batch);
    }
    if (needs.concentration) {
      const at::Tensor row = at::logsumexp(2 * table.detach(), -1).view(-1);
      in.policy.concentration_C = row.index_select(0, batch.state_C);
    }
    in.training = true;
    return in;
  }

 private:
  static at::Tensor by_sequence(const at::Tensor& x_C, const Batch& batch) {
    return at::zeros(batch.count_S.sizes(), at::kDouble)
        .index_add(0, batch.feedback.sequence_C, x_C);
  }

  static objective::SequenceLogps look_up(const at::Tensor& table, const Batch& batch) {
    const at::Tensor token_C = table.view(-1).index_select(0, batch.cell_C);
    return {.sum_S = by_sequence(token_C, batch), .count_S = batch.count_S, .token_C = token_C};
  }

  int64_t X_, V_;
  at::Tensor state_logits_, prompt_logits_, reference_;
};

double ratio(const BigramWorld& world, const Policy& policy, const Completion& completion) {
  return world.logp(policy, completion) - world.logp(world.reference(), completion);
}

void measure_data(const BigramWorld& world, const std::vector<Group>& data, Outcome& outcome) {
  double count = 0;
  for (const Group& group : data) {
    for (const Comparison& comparison : group.comparisons) {
      const Completion& winner = group.completions[comparison.winner];
      const Completion& loser = group.completions[comparison.loser];
      outcome.winner_change += ratio(world, outcome.policy, winner);
      outcome.loser_change += ratio(world, outcome.policy, loser);
      outcome.loser_divergence += world.divergence(outcome.policy, loser);
      outcome.winner_tokens += static_cast<double>(winner.tokens.size());
      outcome.loser_tokens += static_cast<double>(loser.tokens.size());
      ++count;
    }
  }
  for (double* mean : {&outcome.winner_change,
                       &outcome.loser_change,
                       &outcome.loser_divergence,
                       &outcome.winner_tokens,
                       &outcome.loser_tokens}) {
    *mean /= count;
  }
}

// The groups of a step: epochs of the data, each in an order of its own.
class Order {
 public:
  Order(size_t count, uint64_t seed) : count_(static_cast<int64_t>(count)), seed_(seed) {}

  std::vector<int64_t> next(int wanted) {
    std::vector<int64_t> picked;
    while (static_cast<int>(picked.size()) < wanted) {
      if (left_.empty()) {
        left_ = shuffled(count_, random_word(stream_key(seed_, "lab order"), epoch_++));
      }
      picked.push_back(left_.back());
      left_.pop_back();
    }
    return picked;
  }

 private:
  int64_t count_;
  uint64_t seed_;
  uint64_t epoch_ = 0;
  std::vector<int64_t> left_;
};

}  // namespace

std::vector<Group> ask(const BigramWorld& world, const FeedbackOptions& options, uint64_t seed) {
  RandomStream sampling(stream_key(seed, "lab completions"));
  RandomStream answers(stream_key(seed, "lab answers"));
  // A stream of its own, so that the same comparisons are made whatever the share of flips.
  RandomStream flips(stream_key(seed, "lab flips"));
  RandomStream kept(stream_key(seed, "lab labels"));
  std::vector<Group> data;
  for (int g = 0; g < options.groups; ++g) {
    Group group;
    std::vector<double> seen;
    for (int k = 0; k < options.completions; ++k) {
      group.completions.push_back(
          world.sample(world.reference(), g % world.options().prompts, sampling));
      const Completion& last = group.completions.back();
      seen.push_back(world.reward(last) +
                     options.length_bonus * static_cast<double>(last.tokens.size()));
    }
    std::vector<int> wins(options.completions, 0);
    for (int i = 0; i < options.completions; ++i) {
      for (int j = i + 1; j < options.completions; ++j) {
        const double p = 1 / (1 + std::exp(seen[j] - seen[i]));
        const double draw = answers.uniform();
        const bool flip = flips.uniform() < options.flipped;
        bool first = options.certain ? seen[i] > seen[j] : draw < p;
        if (options.soft) {
          first = p >= 0.5;
          const double sure = first ? p : 1 - p;
          group.comparisons.push_back({first ? i : j, first ? j : i, flip ? 1 - sure : sure});
        } else {
          first = first != flip;
          group.comparisons.push_back({first ? i : j, first ? j : i, 1});
        }
        ++wins[first ? i : j];
      }
    }
    for (const int won : wins) {
      const bool keeps = kept.uniform() < options.keep_desirable;
      group.labels.push_back(won == options.completions - 1 ? (keeps ? 1 : 0) : won == 0 ? -1 : 0);
    }
    data.push_back(std::move(group));
  }
  return data;
}

Method attune_method(std::string name, const std::string& objective) {
  const config::Section root = config::parse_run_file("objective: " + objective, name);
  auto made =
      std::make_shared<objective::Objective>(train::read_objective(*root.find("objective")));
  std::vector<std::string> columns;
  for (const objective::Term& term : made->terms()) {
    columns.insert(columns.end(), term.columns.begin(), term.columns.end());
  }
  return {
      .name = std::move(name),
      .needs = made->needs(),
      .loss =
          [made](const objective::TermInput& in,
                 const objective::UnitWeights& weights,
                 objective::Objective::State* state) { return made->run(in, weights, state).loss; },
      .state = made->initial_state(),
      .columns = columns};
}

Method unlikelihood(double alpha) {
  return {
      .name = fmt::format("unlikelihood {}", alpha),
      .needs = {.reference = false},
      .loss = [alpha](const objective::TermInput& in, const auto& /*weights*/, auto* /*state*/) {
        const at::Tensor& logp_S = in.policy.sum_S;
        return (alpha * objective::losers(logp_S, in) - objective::winners(logp_S, in)).mean();
      }};
}

Method wrong_sign_r_dpo(double beta, double alpha) {
  return {.name = fmt::format("R-DPO {}, wrong sign", alpha),
          .needs = {},
          .loss = [beta, alpha](
                      const objective::TermInput& in, const auto& /*weights*/, auto* /*state*/) {
            const at::Tensor margin_P = objective::difference(objective::log_ratio(in), in);
            const at::Tensor longer_P = objective::difference(in.policy.count_S, in);
            return -at::log_sigmoid(beta * margin_P - alpha * longer_P).mean();
          }};
}

Outcome train(const BigramWorld& world,
              const Frontier& frontier,
              const std::vector<Group>& data,
              Method method,
              const TrainOptions& options) {
  check(!data.empty(), "{}: no data to train on", method.name);
  const OneThread one_thread;
  Learner learner(world);
  const optim::OptimOptions adam{.lr = options.lr, .schedule = "cosine", .warmup_ratio = 0};
  optim::AdamW optimizer(learner.parameters(), adam);
  Order order(data.size(), options.seed);
  Outcome outcome;
  for (int step = 0; step < options.steps; ++step) {
    const Batch batch =
        BatchMaker(world, method.columns).make(data, order.next(options.groups_per_step));
    const objective::TermInput in = learner.read(batch, method.needs);
    const at::Tensor loss = method.loss(in, batch.weights, &method.state);
    if (options.trace_every > 0 && step % options.trace_every == 0) {
      const at::Tensor margin_P = objective::difference(objective::log_ratio(in), in);
      outcome.trace.push_back({static_cast<double>(step), margin_P.mean().item<double>()});
    }
    if (loss.defined() && loss.requires_grad()) {
      loss.backward();
      optimizer.step(optim::learning_rate(adam, step, options.steps));
      optimizer.zero_grad();
    }
  }
  outcome.policy = learner.policy(world);
  outcome.exact = world.exact(outcome.policy);
  outcome.gain = outcome.exact.reward - world.exact(world.reference()).reward;
  const double most = frontier.gain_at(outcome.exact.kl);
  outcome.efficiency = most > 0 ? outcome.gain / most : 0;
  measure_data(world, data, outcome);
  return outcome;
}

}  // namespace attune::science
