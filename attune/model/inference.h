// The decoder for writing text: forward only, without LibTorch's operators and their tape.
#pragma once

#include <ATen/core/Tensor.h>

#include "attune/model/decoder.h"

namespace attune::model {

/// What the products of a pass are made for.
enum class InferenceRows {
  kFew,   ///< A step of writing, short prompts: weights are read where they stand, once for all
          ///< rows.
  kMany,  ///< Long prompts: products of tiles.
};

/// Decoder::forward on the CPU, to rounding, for f32 and bf16 weights: hidden rows after the last
/// norm, [N, D] f32. bf16 weights are widened in registers and sums are f32. A row's numbers depend
/// on `rows` and on what `attention` gives it, not on the other rows.
/// @throws Error if an id is out of range.
at::Tensor infer(const Decoder& model,
                 const at::Tensor& tokens_N,
                 const at::Tensor& positions_N,
                 Attention& attention,
                 bool adapters,
                 InferenceRows rows);

/// [N, V] logits of few hidden rows, f32. A row's numbers do not depend on the other rows.
at::Tensor infer_logits(const Decoder& model, const at::Tensor& h_ND);

}  // namespace attune::model
