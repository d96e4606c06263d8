// Memory and arithmetic of a run, computed from shapes before anything is loaded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attune/model/decoder.h"
#include "attune/train/memory_part.h"

namespace attune::train {

/// What decides memory and arithmetic beside the model's shape.
struct PlanInput {
  bool full = false;              ///< Every weight is trained.
  int64_t trained = 0;            ///< Numbers that are trained.
  int64_t weight_bytes = 4;       ///< Bytes of one frozen weight as it is kept.
  bool recompute = false;         ///< Layers run again in the backward pass.
  bool inline_reference = false;  ///< The reference runs in every step.
  bool second_model = false;      ///< The reference is another model in memory.
  int64_t adapted_width = 0;      ///< Sum over a layer's adapters of their rank.
  int64_t tokens = 0;             ///< Packed tokens of the largest micro-batch.
  int64_t scored = 0;             ///< Scored rows of the largest micro-batch.
  int64_t file_bytes = 0;         ///< Of the model's files, which stay mapped.
};

/// What each part takes at the peak of a step.
std::vector<MemoryPart> memory_plan(const model::DecoderShape& shape, const PlanInput& input);

/// The sum of the parts.
int64_t total_bytes(const std::vector<MemoryPart>& parts);

/// Numbers in the trunk's linear layers (without embedding and head).
int64_t linear_weights(const model::DecoderShape& shape);
/// All weights; a tied head counts once.
int64_t all_weights(const model::DecoderShape& shape);

/// Floating-point operations that `tokens` packed and `scored` rows need at least:
///
///   k W tokens + k V D scored,  k = 2 forward + 2 backward (+ 2 weights if full) (+ 2 reference)
///
/// Attention is left out: below 1 % at the lengths of preference data.
double needed_flops(const model::DecoderShape& shape,
                    const PlanInput& input,
                    int64_t tokens,
                    int64_t scored);

/// Operations of one forward pass.
double forward_flops(const model::DecoderShape& shape, double tokens, double scored);

/// Operations of a whole step: needed_flops and the forward pass that recompute repeats.
double step_flops(const model::DecoderShape& shape,
                  const PlanInput& input,
                  double tokens,
                  double scored);

/// What a step reaches of the measured rate of matrix products.
inline constexpr double kEfficiency = 0.7;

/// The token budget of a micro-batch when the run file says auto: 2048, halved until the plan fits
/// into 60 % of `memory_bytes`, never below 256.
int64_t auto_tokens(const model::DecoderShape& shape, PlanInput input, int64_t memory_bytes);

}  // namespace attune::train
