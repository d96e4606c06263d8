#include "attune/train/plan.h"

#include <numeric>

namespace attune::train {
namespace {

constexpr int64_t kFloat = 4;
// Code and tables of LibTorch, the threads' stacks, the allocator's reserve; measured.
constexpr int64_t kProcess = 260'000'000;
constexpr int64_t kTileRows = 128;

// Of a step, in forward passes.
double passes(const PlanInput& in) {
  return 2.0 + (in.full ? 1.0 : 0.0) + (in.inline_reference ? 1.0 : 0.0);
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
  const int64_t query = s.heads * s.head_dim;
  const int64_t key = s.kv_heads * s.head_dim;
  // What one token keeps of one layer: three rows of the residual stream, rotated queries and keys,
  // values, attention's result, and the two inputs of the gate.
  int64_t kept =
      3 * s.width + 2 * query + 2 * key + s.heads + 2 + 2 * s.feed_forward + in.adapted_width;
  if (in.full) {
    kept += 2 * s.width + query + s.feed_forward;  // the inputs of trained products
  }
  const int64_t layers = in.recompute ? 1 : s.layers;
  const int64_t inputs = in.recompute ? s.layers * s.width : 0;
  const int64_t passing = 4 * s.feed_forward + 6 * s.width;  // alive while a layer runs backward
  const int64_t base = all_weights(s);
  std::vector<MemoryPart> parts{
      {"weights", base * in.weight_bytes},
      {"trained parameters, gradients, optimizer",
       in.trained * kFloat * (in.full ? 3 : 4)},  // trained weights are the base weights
      {"activations", in.tokens * (kept * layers + inputs + passing) * kFloat},
      {"head",
       (kTileRows * s.vocabulary + in.scored * 4 * s.width) * kFloat +
           (in.weight_bytes < kFloat ? s.vocabulary * s.width * kFloat : 0)},
      {"program", kProcess}};
  if (in.second_model) {
    parts.push_back({"reference model", base * in.weight_bytes});
  }
  return parts;
}

int64_t total_bytes(const std::vector<MemoryPart>& parts) {
  return std::accumulate(parts.begin(), parts.end(), int64_t{0}, [](int64_t sum, const auto& part) {
    return sum + part.bytes;
  });
}

double forward_flops(const model::DecoderShape& s, double tokens, double scored) {
  return 2.0 * (static_cast<double>(linear_weights(s)) * tokens +
                static_cast<double>(s.vocabulary * s.width) * scored);
}

double needed_flops(const model::DecoderShape& s,
                    const PlanInput& in,
                    int64_t tokens,
                    int64_t scored) {
  return passes(in) * forward_flops(s, static_cast<double>(tokens), static_cast<double>(scored));
}

double step_flops(const model::DecoderShape& s, const PlanInput& in, double tokens, double scored) {
  return passes(in) * forward_flops(s, tokens, scored) +
         (in.recompute ? forward_flops(s, tokens, /*scored=*/0) : 0.0);
}

int64_t auto_tokens(const model::DecoderShape& shape, PlanInput input, int64_t memory_bytes) {
  int64_t tokens = 2048;
  for (; tokens > 256; tokens /= 2) {
    input.tokens = tokens;
    input.scored = tokens;
    if (total_bytes(memory_plan(shape, input)) <= memory_bytes / 10 * 6) {
      break;
    }
  }
  return tokens;
}

}  // namespace attune::train
