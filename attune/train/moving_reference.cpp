#include "attune/train/moving_reference.h"

#include <map>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>

#include "attune/core/error.h"
#include "attune/io/safetensors_writer.h"
#include "attune/tensor/convert.h"

namespace attune::train {
namespace {

std::map<std::string, at::Tensor> weights_of(model::Decoder& model) {
  std::map<std::string, at::Tensor> weights;
  model.each_weight([&](const std::string& name, at::Tensor& weight) { weights[name] = weight; });
  return weights;
}

// Bf16 would lose small updates.
at::ScalarType wide(const at::Tensor& weight) {
  return weight.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

}  // namespace

std::unique_ptr<model::Decoder> base_copy(model::Decoder& policy) {
  auto copy = std::make_unique<model::Decoder>(policy.shape());
  const auto weights = weights_of(policy);
  copy->each_weight(
      [&](const std::string& name, at::Tensor& weight) { weight = weights.at(name).detach(); });
  return copy;
}

MovingReference::MovingReference(std::unique_ptr<model::Decoder> start,
                                 model::Decoder& policy,
                                 double mix,
                                 const objective::Needs& needs)
    : model_(std::move(start)),
      policy_(policy),
      mix_(mix),
      needs_(needs),
      inner_(base_reference(*model_, needs)) {
  const auto theirs = weights_of(*model_);
  for (const auto& [name, weight] : weights_of(policy)) {
    const auto at = theirs.find(name);
    check(at != theirs.end() && at->second.sizes() == weight.sizes(),
          "reference.sync_every mixes the policy's weights into the reference, which needs two "
          "models of one shape: {} is {} here and {} in reference.path",
          name,
          tensor::shape_text(weight),
          at == theirs.end() ? "missing" : tensor::shape_text(at->second));
  }
}

objective::SequenceLogps MovingReference::logps(const PreferenceBatch& batch) {
  return inner_->logps(batch);
}

HeadRows MovingReference::rows(const PreferenceBatch& batch) {
  return inner_->rows(batch);
}

void MovingReference::sync() {
  const at::NoGradGuard no_grad;
  const auto weights = weights_of(policy_);
  std::map<std::string, const adapter::Linear*> adapted;
  policy_.each_linear([&](const std::string& path, adapter::Linear& linear) {
    if (linear.lora) {
      adapted[path + ".weight"] = &linear;
    }
  });
  model_->each_weight([&](const std::string& name, at::Tensor& weight) {
    const at::Tensor& base = weights.at(name);
    const auto linear = adapted.find(name);
    const at::Tensor target =
        linear == adapted.end() ? base.to(wide(base)) : linear->second->merged_weight();
    if (at::equal(target, weight.to(target.scalar_type()))) {
      return;
    }
    weight = mix_ == 1 ? target.clone() : mix_ * target + (1 - mix_) * weight.to(wide(weight));
    changed_.insert(name);
  });
  inner_ = base_reference(*model_, needs_);  // forgets what it said of the last batch
}

void MovingReference::save(const std::filesystem::path& file) const {
  if (changed_.empty()) {
    return;
  }
  std::vector<io::TensorView> views;
  const auto weights = weights_of(*model_);
  for (const std::string& name : changed_) {
    views.push_back(tensor::to_view(name, weights.at(name)));
  }
  io::write_safetensors(file, views);
}

void MovingReference::restore(const std::filesystem::path& path) {
  const io::TensorFile file = io::open_safetensors(path);
  size_t found = 0;
  model_->each_weight([&](const std::string& name, at::Tensor& weight) {
    if (const io::TensorView* view = file.find(name)) {
      at::Tensor saved = tensor::from_view(*view, at::kFloat);
      check(saved.sizes() == weight.sizes(),
            "{}: {} must be {}, got {}",
            path.string(),
            name,
            tensor::shape_text(weight),
            tensor::shape_text(saved));
      weight = std::move(saved);
      changed_.insert(name);
      ++found;
    }
  });
  check(found == file.tensors().size(), "{}: holds weights of another model", path.string());
  inner_ = base_reference(*model_, needs_);
}

}  // namespace attune::train
