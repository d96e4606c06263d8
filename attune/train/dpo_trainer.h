// Preference training for any model: whatever maps a batch x to one log-probability per sequence
// can be tuned by these classes. Runs of attune's own models use train/run.h.
//
// B sequences, T comparisons. yw_idxs and yl_idxs are indices into the B sequences: which one of
// each comparison is preferred and which is not.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include "attune/adapter/lora.h"
#include "attune/adapter/options.h"
#include "attune/model/decoder.h"
#include "attune/optim/adamw.h"
#include "attune/train/batch.h"

namespace attune::train {

/// A model that can be tuned: X is its kind of batch.
template <class X>
class PolicyModel {
 public:
  virtual ~PolicyModel() = default;
  /// log pi(y|x) of each sequence, (B), f32 or f64, in nats; carries gradients where autograd is
  /// on. One number per sequence: see sequence_logps.
  virtual at::Tensor logps(const X& x) = 0;
  /// What training may change: leaves that require gradients.
  virtual std::vector<at::Tensor> parameters() = 0;
};

/// A model whose linear layers can get adapters.
template <class X>
class AdaptableModel : public PolicyModel<X> {
 public:
  using Layers = std::vector<std::pair<std::string, adapter::Linear*>>;
  /// The layers with their paths ("layers.0.q_proj"); they must live as long as the model.
  virtual Layers linear_layers() = 0;
  /// logps with the adapters off.
  virtual at::Tensor base_logps(const X& x) = 0;
};

/// Log-probs of sequences from a model's logits: each token's label is gathered from the position
/// before it, the prompt is masked out, the rest is summed, in f64. log_softmax alone is a
/// distribution over the vocabulary at each position, (B, L, V), and no log-prob of a sequence.
///
/// @param logits_BLV     any float type; row l predicts token l + 1.
/// @param tokens_BL      int64, each in [0, V).
/// @param completion_BL  bool: true for the tokens that count; the first column never does.
/// @return               (B), f64.
at::Tensor sequence_logps(const at::Tensor& logits_BLV,
                          const at::Tensor& tokens_BL,
                          const at::Tensor& completion_BL);

/// What compute_loss gives.
struct PreferenceLoss {
  at::Tensor loss;     ///< The mean over the T comparisons, a single number with its graph.
  at::Tensor rewards;  ///< (B): beta (pi_logps - ref_logps), detached.
};

/// What a trainer of every kind is made of, whatever its model's batches are.
class PreferenceTrainer {
 public:
  virtual ~PreferenceTrainer() = default;

  /// The DPO loss over comparisons of the batch, by the registered term `dpo`: with
  /// h = pi_logps - ref_logps,
  ///
  ///   loss = mean_t -log sigmoid(beta (h[yw_t] - h[yl_t]))
  ///
  /// @param pi_logps   (B), carries gradients.
  /// @param ref_logps  (B); its graph, if it has one, is cut off.
  /// @param yw_idxs    (T) int64.  @param yl_idxs  (T) int64.
  /// @throws Error for another shape, with what it should be; for an index that is not in [0, B).
  [[nodiscard]] virtual PreferenceLoss compute_loss(const at::Tensor& pi_logps,
                                                    const at::Tensor& ref_logps,
                                                    const at::Tensor& yw_idxs,
                                                    const at::Tensor& yl_idxs) const;

  [[nodiscard]] const std::vector<at::Tensor>& parameters() const {
    return optimizer_.parameters();
  }

 protected:
  PreferenceTrainer(std::vector<at::Tensor> parameters, double beta, double lr);

  /// The loss with a probability for each comparison, (T).
  [[nodiscard]] PreferenceLoss loss_with(const at::Tensor& pi_logps,
                                         const at::Tensor& ref_logps,
                                         const at::Tensor& yw_idxs,
                                         const at::Tensor& yl_idxs,
                                         const at::Tensor& probability_T) const;
  /// Backward pass and update. @throws Error if loss or gradient is not finite; the weights are
  /// then as they were.
  double update(const at::Tensor& loss);
  /// @throws Error if the reference would move with the policy.
  static void check_apart(const std::vector<at::Tensor>& policy,
                          const std::vector<at::Tensor>& reference);

 private:
  double beta_;
  double lr_;
  optim::AdamW optimizer_;
};

/// A batch of a model with its comparisons.
template <class X>
struct PairBatch {
  X x;
  at::Tensor yw_idxs;  ///< (T) int64, the preferred sequences.
  at::Tensor yl_idxs;  ///< (T) int64, the others.
  /// That the preferred one is preferred: (T) or a single number. For ProbabilisticDPOTrainer.
  at::Tensor preference_prob = {};
};

/// Direct Preference Optimization of a model against a frozen reference.
template <class X>
class DPOTrainer : public PreferenceTrainer {
 public:
  /// Both models must outlive the trainer.
  /// @throws Error if they share a parameter: the reference would move with the policy.
  DPOTrainer(PolicyModel<X>& model, PolicyModel<X>& ref_model, double beta = 0.1, double lr = 1e-5)
      : PreferenceTrainer(model.parameters(), beta, lr),
        model_(model),
        reference_([&ref_model](const X& x) { return ref_model.logps(x); }) {
    check_apart(parameters(), ref_model.parameters());
  }

  /// One AdamW step on the batch; gives the loss before it.
  double train_step(const PairBatch<X>& batch) {
    const at::Tensor pi_logps = model_.logps(batch.x);
    const at::NoGradGuard no_grad;
    const at::Tensor ref_logps = reference_(batch.x);
    const at::AutoGradMode with_grad(true);
    return update(batch_loss(batch, pi_logps, ref_logps).loss);
  }

 protected:
  using Reference = std::function<at::Tensor(const X&)>;

  DPOTrainer(PolicyModel<X>& model,
             Reference reference,
             std::vector<at::Tensor> trained,
             double beta,
             double lr)
      : PreferenceTrainer(std::move(trained), beta, lr),
        model_(model),
        reference_(std::move(reference)) {}

  [[nodiscard]] virtual PreferenceLoss batch_loss(const PairBatch<X>& batch,
                                                  const at::Tensor& pi_logps,
                                                  const at::Tensor& ref_logps) const {
    return compute_loss(pi_logps, ref_logps, batch.yw_idxs, batch.yl_idxs);
  }
  [[nodiscard]] PolicyModel<X>& model() const {
    return model_;
  }

 private:
  PolicyModel<X>& model_;
  Reference reference_;
};

/// Adapters on the model's layers: rank lora_rank, alpha 32, dropout 0.05, no bias; the same
/// seed gives the same ones. @throws Error for a target that no layer has.
void add_trainer_lora(const std::vector<std::pair<std::string, adapter::Linear*>>& layers,
                      int64_t lora_rank,
                      const std::vector<std::string>& targets,
                      uint64_t seed);

/// The parameters of the adapters on `layers`.
std::vector<at::Tensor> lora_parameters(
    const std::vector<std::pair<std::string, adapter::Linear*>>& layers);

/// DPO of low-rank adapters that are added to the model here. Without `ref_model` the reference is
/// the model with its adapters off: no second model in memory.
template <class X>
class DPOTrainerWithLoRA : public DPOTrainer<X> {
 public:
  /// @param targets  Names of the layers that get an adapter: the last part of their paths.
  explicit DPOTrainerWithLoRA(AdaptableModel<X>& model,
                              PolicyModel<X>* ref_model = nullptr,
                              double beta = 0.1,
                              double lr = 1e-5,
                              int64_t lora_rank = 8,
                              const std::vector<std::string>& targets = {"q_proj", "v_proj"},
                              uint64_t seed = 42)
      : DPOTrainer<X>(
            model,
            ref_model != nullptr ? typename DPOTrainer<X>::Reference(
                                       [ref_model](const X& x) { return ref_model->logps(x); })
                                 : [&model](const X& x) { return model.base_logps(x); },
            adapted(model, lora_rank, targets, seed),
            beta,
            lr) {}

 private:
  static std::vector<at::Tensor> adapted(AdaptableModel<X>& model,
                                         int64_t lora_rank,
                                         const std::vector<std::string>& targets,
                                         uint64_t seed) {
    const auto layers = model.linear_layers();
    add_trainer_lora(layers, lora_rank, targets, seed);
    return lora_parameters(layers);
  }
};

/// DPO where the preference itself is uncertain: the preferred sequence is preferred with
/// probability p only.
///
///   loss = mean_t -p_t log sigmoid(z_t) - (1 - p_t) log sigmoid(-z_t)
template <class X>
class ProbabilisticDPOTrainer : public DPOTrainer<X> {
 public:
  using DPOTrainer<X>::DPOTrainer;
  using DPOTrainer<X>::compute_loss;

  /// @param preference_prob  (T), or a single number for all; in [0, 1].
  [[nodiscard]] PreferenceLoss compute_loss(const at::Tensor& pi_logps,
                                            const at::Tensor& ref_logps,
                                            const at::Tensor& yw_idxs,
                                            const at::Tensor& yl_idxs,
                                            const at::Tensor& preference_prob) const {
    return this->loss_with(pi_logps, ref_logps, yw_idxs, yl_idxs, preference_prob);
  }

 protected:
  [[nodiscard]] PreferenceLoss batch_loss(const PairBatch<X>& batch,
                                          const at::Tensor& pi_logps,
                                          const at::Tensor& ref_logps) const override {
    return batch.preference_prob.defined()
               ? compute_loss(
                     pi_logps, ref_logps, batch.yw_idxs, batch.yl_idxs, batch.preference_prob)
               : compute_loss(pi_logps, ref_logps, batch.yw_idxs, batch.yl_idxs);
  }
};

/// The loss plus a sum of penalties. @throws Error if a penalty is not one number, or carries no
/// gradient while `pi_logps` does: a penalty on fixed text is a constant of the parameters, and
/// cannot change what is learnt.
at::Tensor with_penalties(const at::Tensor& loss,
                          const at::Tensor& pi_logps,
                          const std::vector<at::Tensor>& penalties);

/// DPO with explicit constraints: what they give is added to the loss.
template <class X>
class ConstitutionalDPOTrainer : public DPOTrainer<X> {
 public:
  /// (model, pi_logps, ref_logps, yw_idxs, yl_idxs) -> a single number that depends on the model's
  /// parameters, usually through pi_logps.
  using Constraint = std::function<at::Tensor(PolicyModel<X>& model,
                                              const at::Tensor& pi_logps,
                                              const at::Tensor& ref_logps,
                                              const at::Tensor& yw_idxs,
                                              const at::Tensor& yl_idxs)>;

  ConstitutionalDPOTrainer(PolicyModel<X>& model,
                           PolicyModel<X>& ref_model,
                           double beta,
                           double lr,
                           std::vector<Constraint> constraints)
      : DPOTrainer<X>(model, ref_model, beta, lr), constraints_(std::move(constraints)) {}

  [[nodiscard]] PreferenceLoss compute_loss(const at::Tensor& pi_logps,
                                            const at::Tensor& ref_logps,
                                            const at::Tensor& yw_idxs,
                                            const at::Tensor& yl_idxs) const override {
    PreferenceLoss result = DPOTrainer<X>::compute_loss(pi_logps, ref_logps, yw_idxs, yl_idxs);
    std::vector<at::Tensor> penalties;
    for (const Constraint& constraint : constraints_) {
      penalties.push_back(constraint(this->model(), pi_logps, ref_logps, yw_idxs, yl_idxs));
    }
    result.loss = with_penalties(result.loss, pi_logps, penalties);
    return result;
  }

 private:
  std::vector<Constraint> constraints_;
};

/// attune's own decoder as a model to tune; its batches are packed ones. With adapters only they
/// are trained, else every weight is.
class DecoderPolicy : public AdaptableModel<PreferenceBatch> {
 public:
  /// @param decoder  Must outlive this.
  /// @param seed     Of the adapters' dropout, which is on where autograd is.
  explicit DecoderPolicy(model::Decoder& decoder, uint64_t seed = 42)
      : decoder_(decoder), seed_(seed) {}

  at::Tensor logps(const PreferenceBatch& x) override;
  at::Tensor base_logps(const PreferenceBatch& x) override;
  std::vector<at::Tensor> parameters() override;
  Layers linear_layers() override;

 private:
  model::Decoder& decoder_;
  uint64_t seed_;
  uint64_t passes_ = 0;
};

}  // namespace attune::train
