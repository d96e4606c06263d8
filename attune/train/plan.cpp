#include "attune/train/plan.h"

#include <algorithm>
#include <numeric>
#include <string_view>

#include "attune/nn/head_chunks.h"

namespace attune::train {
namespace {

constexpr int64_t kFloat = 4;
// Code and tables of LibTorch, the threads' stacks, small tensors; measured.
constexpr int64_t kProcess = 110'000'000;
constexpr int64_t kTileRows = 128;

// Seconds of one forward pass' operations, run forwards and backwards as often as a step does.
double seconds_of(const PlanInput& in, double forward_flops, const Rates& rates) {
  const double forward = 1.0 + static_cast<double>(in.references);
  const double backward = in.full ? 2.0 : 1.0;
  return forward_flops * 1e-9 * (forward / rates.forward + backward / rates.backward);
}

// What LibTorch's operators keep, and what is alive while a layer runs backward.
int64_t tape_bytes(const model::DecoderShape& s, const PlanInput& in) {
  const int64_t query = s.heads * s.head_dim;
  const int64_t key = s.kv_heads * s.head_dim;
  // What one token keeps of one layer: two rows of the residual stream, rotated queries and keys,
  // values, attention's result, the two inputs of the gate, and the inputs of trained products.
  const int64_t kept = 2 * s.width + 2 * query + 2 * key + s.heads + 2 + 2 * s.feed_forward +
                       in.trained_inputs + in.adapted_width;
  const int64_t layers = in.recompute ? 1 : s.layers;
  const int64_t inputs = in.recompute ? s.layers * s.width : 0;
  const int64_t passing = 4 * s.feed_forward + 6 * s.width;
  return in.tokens * (kept * layers + inputs + passing) * kFloat;
}

model::TrunkNeeds trunk_needs(const model::DecoderShape& s, const PlanInput& in) {
  const bool narrow = in.products.narrow != tensor::Narrow::kNone;
  const bool fits = tensor::may_narrow(s.feed_forward, s.width);
  model::TrunkNeeds needs{
      .N = in.tokens,
      .U = in.scored,
      .lowest = in.full ? -1 : 0,
      .trains = true,
      .recompute = in.recompute,
      .narrow = narrow,
      .rounds = narrow && fits,
      .dropout = in.dropout,
      .wide_gate = !fits || in.full || in.ranks[model::kGate] > 0 || in.ranks[model::kUp] > 0};
  needs.ranks.assign(static_cast<size_t>(s.layers), in.ranks);
  return needs;
}

int64_t bytes_of(const std::vector<MemoryPart>& parts, std::string_view name) {
  const auto part = std::ranges::find(parts, name, &MemoryPart::name);
  return part == parts.end() ? 0 : part->bytes;
}

}  // namespace

int64_t linear_weights(const model::DecoderShape& s) {
  const int64_t attention = s.width * s.head_dim * (2 * s.heads + 2 * s.kv_heads);
  return s.layers * (attention + 3 * s.width * s.feed_forward);
}

int64_t all_weights(const model::DecoderShape& s) {
  const int64_t norms = s.width * (2 * s.layers + 1) + (s.qk_norm ? 2 * s.layers * s.head_dim : 0);
  const int64_t biases = (s.qkv_bias ? s.layers * s.head_dim * (s.heads + 2 * s.kv_heads) : 0) +
                         (s.out_bias ? s.layers * s.width : 0);
  return linear_weights(s) + norms + biases + s.vocabulary * s.width * (s.tied_head ? 1 : 2);
}

std::vector<MemoryPart> memory_plan(const model::DecoderShape& s, const PlanInput& in) {
  const int64_t table = s.vocabulary * s.width * kFloat;
  const int64_t activations =
      in.products.tiles ? model::trunk_bytes(s, trunk_needs(s, in)) : tape_bytes(s, in);
  std::vector<MemoryPart> parts{{"weights", all_weights(s) * in.weight_bytes}};
  if (!in.full) {
    parts.push_back({"adapter, its gradients and optimizer", in.trained * kFloat * 4});
    parts.push_back({"activations", activations});
  } else {
    parts.push_back({"optimizer", in.trained * kFloat * 2});
    if (in.products.tiles) {
      parts.push_back({"gradients", in.trained * kFloat});
      parts.push_back({"activations", activations});
    } else {  // gradients come as activations go; the table's own comes first
      parts.push_back(
          {"activations and gradients", std::max(activations + table, in.trained * kFloat)});
    }
  }
  const int64_t divergence = in.head_tiles * kTileRows * s.vocabulary * kFloat +
                             (in.head_tiles > 0 && in.weight_bytes < kFloat ? table : 0);
  const std::vector<MemoryPart> rest{
      {"head", nn::head_bytes(in.scored) + in.scored * 4 * s.width * kFloat + divergence},
      {"program", kProcess}};
  parts.insert(parts.end(), rest.begin(), rest.end());
  if (in.reference_bytes > 0) {
    parts.push_back({"reference model", in.reference_bytes});
  }
  return parts;
}

int64_t total_bytes(const std::vector<MemoryPart>& parts) {
  return std::accumulate(parts.begin(), parts.end(), int64_t{0}, [](int64_t sum, const auto& part) {
    return sum + part.bytes;
  });
}

Rates rates_of(const tensor::GemmChoice& measured, const tensor::Products& products) {
  using tensor::Narrow;
  const double wide = products.tiles ? measured.tile_gflops : measured.gflops;
  const double narrow = products.tiles ? measured.tile_narrow_gflops : measured.narrow_gflops;
  return {.forward = products.narrow == Narrow::kAll ? narrow : wide,
          .backward = products.narrow == Narrow::kNone ? wide : narrow};
}

double forward_flops(const model::DecoderShape& s, double tokens, double scored) {
  return 2.0 * (static_cast<double>(linear_weights(s)) * tokens +
                static_cast<double>(s.vocabulary * s.width) * scored);
}

double needed_seconds(const model::DecoderShape& s,
                      const PlanInput& in,
                      int64_t tokens,
                      int64_t scored,
                      const Rates& rates) {
  return seconds_of(
      in, forward_flops(s, static_cast<double>(tokens), static_cast<double>(scored)), rates);
}

double step_seconds(const model::DecoderShape& s,
                    const PlanInput& in,
                    double tokens,
                    double scored,
                    const Rates& rates) {
  const double repeated = in.recompute ? forward_flops(s, tokens, /*scored=*/0) : 0.0;
  return seconds_of(in, forward_flops(s, tokens, scored), rates) + repeated * 1e-9 / rates.forward;
}

Budget choose_budget(const model::DecoderShape& shape,
                     PlanInput input,
                     std::optional<int64_t> tokens,
                     std::optional<bool> recompute,
                     const Limits& limits) {
  const auto parts_of = [&](int64_t size) {
    input.tokens = std::max(limits.largest_group, std::min(size, limits.most_tokens));
    input.scored = input.tokens;
    return memory_plan(shape, input);
  };
  // On tiles small batches cost little: 512 tokens take a twentieth more time than 1024.
  std::vector<int64_t> sizes{2048, 1024, 512, 256};
  if (input.products.tiles) {
    sizes = {1024, 768, 512, 384, 256};
  }
  if (input.products.tiles && input.full) {
    sizes = {512, 384, 256};
  }
  input.recompute = recompute.value_or(false);
  const auto fits = [&](int64_t size) {
    const std::vector<MemoryPart> parts = parts_of(size);
    const bool modest =
        !input.products.tiles ||
        bytes_of(parts, "activations") <= std::max(bytes_of(parts, "weights"), int64_t{512} << 20);
    return modest && total_bytes(parts) <= limits.memory_bytes / 10 * 6;
  };
  const auto found = std::ranges::find_if(sizes, fits);
  Budget budget{.tokens = tokens.value_or(found == sizes.end() ? sizes.back() : *found),
                .recompute = input.recompute};
  if (!recompute) {
    budget.recompute = total_bytes(parts_of(budget.tokens)) > limits.free_bytes / 5 * 4;
  }
  return budget;
}

}  // namespace attune::train
