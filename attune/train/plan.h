// Memory and arithmetic of a run, computed from shapes before anything is loaded.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "attune/model/decoder.h"
#include "attune/model/trunk_memory.h"
#include "attune/tensor/gemm.h"
#include "attune/train/memory_part.h"
#include "attune/train/rates.h"

namespace attune::train {

/// What decides memory and arithmetic beside the model's shape.
struct PlanInput {
  bool full = false;            ///< Every weight is trained.
  int64_t trained = 0;          ///< Numbers that are trained.
  int64_t weight_bytes = 4;     ///< Bytes of one frozen weight as it is kept.
  bool recompute = false;       ///< Layers run again in the backward pass.
  int64_t references = 0;       ///< Models that run as the reference in every step.
  int64_t reference_bytes = 0;  ///< What of them is in memory beside the policy.
  int64_t head_tiles = 0;       ///< Tiles of whole logits that a divergence has alive at once.
  int64_t adapted_width = 0;    ///< Sum over a layer's adapters of their rank.
  int64_t trained_inputs = 0;   ///< Width of the inputs that a layer's trained products keep.
  std::array<int64_t, model::kProjections> ranks = {};  ///< Of a layer's adapters.
  bool dropout = false;                                 ///< Of their inputs.
  tensor::Products products = {};                       ///< How products are computed.
  int64_t tokens = 0;      ///< Packed tokens of the largest micro-batch.
  int64_t scored = 0;      ///< Scored rows of the largest micro-batch.
  int64_t file_bytes = 0;  ///< Of the model's files, which stay mapped.
};

/// What each part takes at the peak of a step.
std::vector<MemoryPart> memory_plan(const model::DecoderShape& shape, const PlanInput& input);

/// The sum of the parts.
int64_t total_bytes(const std::vector<MemoryPart>& parts);

/// Numbers in the trunk's linear layers (without embedding and head).
int64_t linear_weights(const model::DecoderShape& shape);
/// All weights; a tied head counts once.
int64_t all_weights(const model::DecoderShape& shape);

/// What the machine reaches when products are computed so.
Rates rates_of(const tensor::GemmChoice& measured, const tensor::Products& products);

/// Floating-point operations that `tokens` packed and `scored` rows need at least:
///
///   k W tokens + k V D scored,  k = 2 forward + 2 backward (+ 2 weights if full) (+ 2 reference)
///
/// Attention is left out: below 1 % at the lengths of preference data.
/// Divided by the measured rates of forward and backward products, in seconds.
double needed_seconds(const model::DecoderShape& shape,
                      const PlanInput& input,
                      int64_t tokens,
                      int64_t scored,
                      const Rates& rates);

/// Operations of one forward pass.
double forward_flops(const model::DecoderShape& shape, double tokens, double scored);

/// Seconds of a whole step at these rates: needed_seconds and the forward pass that recompute
/// repeats.
double step_seconds(const model::DecoderShape& shape,
                    const PlanInput& input,
                    double tokens,
                    double scored,
                    const Rates& rates);

/// What a step reaches of the measured rate of matrix products.
inline constexpr double kEfficiency = 0.7;

/// What the run file may leave to the machine.
struct Budget {
  int64_t tokens = 0;      ///< Packed tokens of a micro-batch at most.
  bool recompute = false;  ///< Each layer runs again in the backward pass.
};

/// What a budget must fit, in bytes and packed tokens.
struct Limits {
  int64_t memory_bytes = 0;   ///< The machine's.
  int64_t free_bytes = 0;     ///< What is left of it now.
  int64_t largest_group = 0;  ///< Stands alone if it is larger than the budget.
  int64_t most_tokens = 0;    ///< That one step brings.
};

/// What is not asked for. Of the tokens that is 1024, from where on products do not get faster
/// (2048 where the trunk runs on the tape, 512 where every weight is trained on tiles, whose
/// gradients are summed where they stand), or the next smaller size, never below 256, whose plan
/// fits into 60 % of the machine's memory and, but on the tape, whose activations take no more than
/// the weights do, or half a gibibyte. What else the machine does has no part in it, since the
/// numbers of a run depend on it. On recomputing they do not: layers run again where the plan would
/// take more than four fifths of what is free.
///
/// @param input  All but tokens, scored rows and recompute.
Budget choose_budget(const model::DecoderShape& shape,
                     PlanInput input,
                     std::optional<int64_t> tokens,
                     std::optional<bool> recompute,
                     const Limits& limits);

}  // namespace attune::train
