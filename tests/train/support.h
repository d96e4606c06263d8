// The groups of tests/golden/packed.json, and steps over them.
#pragma once

#include <map>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>

#include "attune/io/json.h"
#include "attune/train/score.h"
#include "attune/train/step.h"

#include "tests/model/support.h"

namespace attune::tests {

/// The golden groups, with numbers that no f32 has rounded.
struct GoldenGroups {
  std::vector<data::EncodedGroup> groups;
  std::vector<std::vector<double>> probabilities;  ///< Of each group's comparisons.
  std::vector<std::vector<double>> references;     ///< Of each group's completions.
  double beta = 0;

  GoldenGroups() {
    const auto file = io::read_json(golden("packed.json"));
    beta = file.at("beta").get<double>();
    size_t first = 0;
    for (const auto& group : file.at("groups")) {
      auto& encoded = groups.emplace_back();
      encoded.prompt = group.at("prompt").get<std::vector<int32_t>>();
      encoded.completions = group.at("completions").get<std::vector<std::vector<int32_t>>>();
      probabilities.emplace_back();
      references.emplace_back();
      for (const auto& c : group.at("comparisons")) {
        encoded.comparisons.push_back(
            {.winner = c.at(0).get<int32_t>() - static_cast<int32_t>(first),
             .loser = c.at(1).get<int32_t>() - static_cast<int32_t>(first),
             .probability = c.at(2).get<float>(),
             .weight = c.at(3).get<float>()});
        probabilities.back().push_back(c.at(2).get<double>());
      }
      for (size_t i = 0; i < encoded.completions.size(); ++i) {
        references.back().push_back(file.at("reference_logps").at(first + i).get<double>());
      }
      encoded.key = data::content_key(encoded);
      first += encoded.completions.size();
    }
  }

  /// Some of the groups as one batch.
  [[nodiscard]] train::PreferenceBatch batch(const std::vector<size_t>& which) const {
    std::vector<data::EncodedGroup> chosen;
    std::vector<int64_t> indices;
    std::vector<double> exact;
    for (const size_t g : which) {
      chosen.push_back(groups[g]);
      indices.push_back(static_cast<int64_t>(g));
      exact.insert(exact.end(), probabilities[g].begin(), probabilities[g].end());
    }
    train::PreferenceBatch batch = train::lift(data::pack(chosen, indices));
    std::copy(exact.begin(), exact.end(), batch.feedback.pairs.probability_P.data_ptr<double>());
    return batch;
  }

  /// All groups, cut by a token budget.
  [[nodiscard]] std::vector<train::PreferenceBatch> cut(int64_t max_tokens) const {
    std::vector<int64_t> sizes;
    for (const data::EncodedGroup& group : groups) {
      sizes.push_back(group.num_tokens());
    }
    std::vector<train::PreferenceBatch> batches;
    for (const auto& which : data::split_by_tokens(sizes, max_tokens)) {
      batches.push_back(batch(which));
    }
    return batches;
  }

  /// The made-up reference log-probs of a batch's sequences.
  [[nodiscard]] objective::SequenceLogps reference(const train::PreferenceBatch& batch) const {
    at::Tensor sum_S = at::empty_like(batch.count_S);
    size_t s = 0;
    for (const int64_t g : batch.groups) {
      for (const double logp : references[static_cast<size_t>(g)]) {
        sum_S.data_ptr<double>()[s++] = logp;
      }
    }
    return {sum_S, batch.count_S};
  }
};

/// One step without an update, by run_step: the mean loss and the gradient of every parameter.
struct Gradients {
  train::StepReport report;
  std::map<std::string, at::Tensor> of;
};

inline Gradients gradients(model::Decoder& model,
                           const GoldenGroups& golden_groups,
                           std::span<const train::PreferenceBatch> batches,
                           const adapter::Pass& options = {},
                           bool recompute = false) {
  const auto named = model.trained_parameters();
  std::vector<at::Tensor> parameters;
  for (const auto& parameter : named) {
    parameters.push_back(parameter.tensor);
  }
  optim::AdamW optimizer(parameters, {});
  const std::vector<objective::TermOptions> terms{
      {.kind = "dpo", .options = objective::DpoOptions{.beta = golden_groups.beta}, .where = {}}};
  const objective::Objective objective(terms);
  const train::StepParts parts{
      .objective = &objective,
      .optimizer = &optimizer,
      .policy =
          [&](const train::PreferenceBatch& batch) {
            adapter::Pass pass = options;
            pass.row_keys_N = batch.row_keys_N;
            return train::score(model, batch, pass, {.recompute = recompute});
          },
      .reference =
          [&](const train::PreferenceBatch& batch) { return golden_groups.reference(batch); },
      .max_grad_norm = 0};
  Gradients result{train::run_step(parts, batches, /*lr=*/0), {}};
  for (const auto& parameter : named) {
    result.of[parameter.name] = parameter.tensor.grad().clone();
  }
  return result;
}

/// The largest difference of two gradients, relative to the largest number of each tensor.
inline double difference(const Gradients& a, const Gradients& b) {
  double worst = a.of.size() == b.of.size() && !a.of.empty() ? 0 : INFINITY;
  for (const auto& [name, grad] : a.of) {
    worst = std::max(worst, difference(grad, b.of.at(name)) / std::max(magnitude(grad), 1e-30));
  }
  return worst;
}

/// The length of the difference of two gradients, of all tensors together, relative to the length
/// of the first: what a step of SGD would differ by.
inline double distance(const Gradients& a, const Gradients& b) {
  double difference = 0;
  double length = 0;
  for (const auto& [name, grad] : a.of) {
    const at::Tensor x = grad.to(at::kDouble);
    difference += (x - b.of.at(name).to(at::kDouble)).square().sum().item<double>();
    length += x.square().sum().item<double>();
  }
  return std::sqrt(difference / length);
}

/// Every weight trained.
inline void train_all(model::Decoder& model) {
  model.each_weight([](const std::string&, at::Tensor& w) { w.set_requires_grad(true); });
}

/// The adapter of tests/golden/packed.safetensors: r = 3, alpha = 7, on q_proj and v_proj.
inline void add_golden_lora(model::Decoder& model,
                            const std::string& name,
                            at::ScalarType dtype,
                            double dropout = 0) {
  const auto file = io::open_safetensors(golden("packed.safetensors"));
  uint64_t ordinal = 0;
  model.each_linear([&](const std::string& path, adapter::Linear& linear) {
    if (path.ends_with("q_proj") || path.ends_with("v_proj")) {
      const auto read = [&](const char* part) {
        const std::string key = fmt::format("{}.lora.adapter.{}.{}.weight", name, path, part);
        return read_tensor(file, key).to(dtype).set_requires_grad(true);
      };
      linear.lora = adapter::Lora{.a_RI = read("lora_A"),
                                  .b_OR = read("lora_B"),
                                  .alpha = 7,
                                  .dropout = dropout,
                                  .ordinal = ordinal++};
    }
  });
}

}  // namespace attune::tests
