#include "attune/train/dpo_trainer.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "attune/adapter/peft.h"
#include "attune/core/error.h"
#include "attune/core/random.h"
#include "attune/objective/registry.h"
#include "attune/tensor/convert.h"
#include "attune/train/score.h"

namespace attune::train {
namespace {

optim::OptimOptions optimizer_options(double lr) {
  check(lr > 0, "lr must be > 0, got {}", lr);
  optim::OptimOptions options;
  options.lr = lr;
  return options;
}

// One number per sequence, and nothing else.
void check_logps(const char* name, const at::Tensor& logps) {
  check(logps.defined() && logps.dim() == 1,
        "{} must be one log-prob per sequence, (B), got {}. A log-softmax over the vocabulary is a "
        "distribution per position: gather the labels, mask to the completion and sum, as "
        "sequence_logps does",
        name,
        logps.defined() ? tensor::shape_text(logps) : "nothing");
  check(logps.is_floating_point(), "{} must be floating-point numbers", name);
}

void check_indices(const char* name, const at::Tensor& idxs, int64_t T, int64_t B) {
  check(idxs.defined() && idxs.dim() == 1 && idxs.scalar_type() == at::kLong,
        "{} must be (T) indices of type int64, got {}",
        name,
        idxs.defined() ? tensor::shape_text(idxs) : "nothing");
  check(T > 0, "{}: no comparison in the batch", name);
  check(idxs.size(0) == T, "{} must have {} entries as yw_idxs has, got {}", name, T, idxs.size(0));
  const int64_t least = idxs.min().item<int64_t>();
  const int64_t most = idxs.max().item<int64_t>();
  check(least >= 0 && most < B,
        "{} must lie in [0, {}), the sequences of the batch, got {}",
        name,
        B,
        least < 0 ? least : most);
}

}  // namespace

at::Tensor sequence_logps(const at::Tensor& logits_BLV,
                          const at::Tensor& tokens_BL,
                          const at::Tensor& completion_BL) {
  check(
      logits_BLV.dim() == 3 && tokens_BL.dim() == 2 &&
          tokens_BL.sizes() == logits_BLV.sizes().slice(0, 2) &&
          completion_BL.sizes() == tokens_BL.sizes(),
      "sequence_logps wants logits (B, L, V), tokens (B, L) and completion (B, L), got {}, {}, {}",
      tensor::shape_text(logits_BLV),
      tensor::shape_text(tokens_BL),
      tensor::shape_text(completion_BL));
  check(logits_BLV.size(1) > 1, "sequence_logps: a sequence of one token has nothing to predict");
  const int64_t L = tokens_BL.size(1);
  const at::Tensor label_BK = tokens_BL.slice(1, 1, L);  // K = L - 1
  const at::Tensor logp_BK = at::log_softmax(logits_BLV.slice(1, 0, L - 1), -1, at::kDouble)
                                 .gather(2, label_BK.unsqueeze(2))
                                 .squeeze(2);
  // where, not times: a prompt's -inf must not become NaN.
  const at::Tensor counts_BK = completion_BL.slice(1, 1, L).to(at::kBool);
  return at::where(counts_BK, logp_BK, at::zeros({}, logp_BK.options())).sum(1);
}

PreferenceTrainer::PreferenceTrainer(std::vector<at::Tensor> parameters, double beta, double lr)
    : beta_(beta), lr_(lr), optimizer_(std::move(parameters), optimizer_options(lr)) {
  check(beta > 0, "beta must be > 0, got {}", beta);
  check(!optimizer_.parameters().empty(), "the model has no parameters to train");
  for (const at::Tensor& parameter : optimizer_.parameters()) {
    check(parameter.is_leaf() && parameter.requires_grad(),
          "a parameter of the model, {}, is no leaf that requires gradients",
          tensor::shape_text(parameter));
  }
}

void PreferenceTrainer::check_apart(const std::vector<at::Tensor>& policy,
                                    const std::vector<at::Tensor>& reference) {
  for (const at::Tensor& trained : policy) {
    for (const at::Tensor& frozen : reference) {
      check(trained.const_data_ptr() != frozen.const_data_ptr(),
            "model and ref_model share a parameter, {}: the reference would move with the policy. "
            "Give a copy of the model as the reference",
            tensor::shape_text(trained));
    }
  }
}

PreferenceLoss PreferenceTrainer::compute_loss(const at::Tensor& pi_logps,
                                               const at::Tensor& ref_logps,
                                               const at::Tensor& yw_idxs,
                                               const at::Tensor& yl_idxs) const {
  return loss_with(pi_logps, ref_logps, yw_idxs, yl_idxs, at::ones({}, at::kDouble));
}

PreferenceLoss PreferenceTrainer::loss_with(const at::Tensor& pi_logps,
                                            const at::Tensor& ref_logps,
                                            const at::Tensor& yw_idxs,
                                            const at::Tensor& yl_idxs,
                                            const at::Tensor& probability_T) const {
  check_logps("pi_logps", pi_logps);
  check_logps("ref_logps", ref_logps);
  const int64_t B = pi_logps.size(0);
  check(ref_logps.size(0) == B,
        "ref_logps must have {} entries as pi_logps has, got {}",
        B,
        ref_logps.size(0));
  const int64_t T = yw_idxs.defined() && yw_idxs.dim() == 1 ? yw_idxs.size(0) : 0;
  check_indices("yw_idxs", yw_idxs, T, B);
  check_indices("yl_idxs", yl_idxs, T, B);
  check(probability_T.numel() == 1 || (probability_T.dim() == 1 && probability_T.size(0) == T),
        "preference_prob must be one number or ({}), got {}",
        T,
        tensor::shape_text(probability_T));
  const at::Tensor p_T =
      probability_T.detach().to(pi_logps.options()).reshape({-1}).expand({T}).contiguous();
  check(p_T.min().item<double>() >= 0 && p_T.max().item<double>() <= 1,
        "preference_prob must lie in [0, 1]");

  const at::Tensor count_B = at::ones_like(pi_logps.detach());
  const objective::Term dpo =
      objective::make_term({.kind = "dpo", .options = objective::DpoOptions{.beta = beta_}});
  const objective::TermOutput out = dpo.run(
      {.policy = {.sum_S = pi_logps, .count_S = count_B},
       .reference = {.sum_S = ref_logps.detach().to(pi_logps.options()), .count_S = count_B},
       .feedback = {.pairs = {.winner_P = yw_idxs,
                              .loser_P = yl_idxs,
                              .probability_P = p_T,
                              .weight_P = at::ones_like(p_T)}}});
  return {.loss = out.loss_I.mean(), .rewards = out.reward_S};
}

double PreferenceTrainer::update(const at::Tensor& loss) {
  optimizer_.zero_grad();
  loss.backward();
  const auto value = loss.item<double>();
  const double norm = optim::grad_norm(optimizer_.parameters());
  check(std::isfinite(value) && std::isfinite(norm),
        "loss {}, gradient norm {}: weights kept as they were; lower lr or raise beta",
        value,
        norm);
  optimizer_.step(lr_);
  return value;
}

void add_trainer_lora(const std::vector<std::pair<std::string, adapter::Linear*>>& layers,
                      int64_t lora_rank,
                      const std::vector<std::string>& targets,
                      uint64_t seed) {
  adapter::AdapterOptions options;
  options.rank = lora_rank;
  options.targets = targets;
  adapter::add_lora(layers, options, seed);
}

std::vector<at::Tensor> lora_parameters(
    const std::vector<std::pair<std::string, adapter::Linear*>>& layers) {
  std::vector<at::Tensor> parameters;
  for (const auto& [path, linear] : layers) {
    if (linear->lora) {
      parameters.push_back(linear->lora->a_RI);
      parameters.push_back(linear->lora->b_OR);
    }
  }
  return parameters;
}

at::Tensor with_penalties(const at::Tensor& loss,
                          const at::Tensor& pi_logps,
                          const std::vector<at::Tensor>& penalties) {
  at::Tensor sum = loss;
  for (size_t i = 0; i < penalties.size(); ++i) {
    check(penalties[i].defined() && penalties[i].numel() == 1,
          "constraint {} must give one number, got {}",
          i + 1,
          penalties[i].defined() ? tensor::shape_text(penalties[i]) : "nothing");
    check(penalties[i].requires_grad() || !pi_logps.requires_grad(),
          "constraint {} carries no gradient: it is a constant of the parameters, so it cannot "
          "change what is learnt. Compute it from pi_logps or from the model",
          i + 1);
    sum = sum + penalties[i].reshape({});
  }
  return sum;
}

at::Tensor DecoderPolicy::logps(const PreferenceBatch& x) {
  adapter::Pass pass;
  if (at::GradMode::is_enabled()) {
    pass.dropout = true;
    pass.dropout_key = random_word(stream_key(seed_, "dropout"), passes_++);
    pass.row_keys_N = x.row_keys_N;
  }
  return score(decoder_, x, pass).sum_S;
}

at::Tensor DecoderPolicy::base_logps(const PreferenceBatch& x) {
  return score(decoder_, x, {.adapters = false}).sum_S;
}

std::vector<at::Tensor> DecoderPolicy::parameters() {
  std::vector<at::Tensor> parameters;
  for (const model::Decoder::Named& named : decoder_.trained_parameters()) {
    parameters.push_back(named.tensor);
  }
  return parameters;
}

DecoderPolicy::Layers DecoderPolicy::linear_layers() {
  Layers layers;
  decoder_.each_linear([&](const std::string& path, adapter::Linear& linear) {
    layers.emplace_back(path, &linear);
  });
  return layers;
}

}  // namespace attune::train
