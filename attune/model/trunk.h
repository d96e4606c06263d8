// The decoder's layers by hand: forward and backward pass in planned memory, as one autograd node.
//
// The tape keeps every operator's inputs, asks for fresh memory at each of them and goes over each
// result once more for every small step. Here
//
//   - one block of memory holds all that the backward pass needs and all that is under way; it is
//     taken once and used again by the next batch,
//   - elementwise steps are done on a product's tile while it is in the cache,
//   - norms and the gate's product are computed again in the backward pass,
//   - nothing is computed for frozen weights, nor below the lowest trained one,
//   - the last layer's feed-forward part runs on the wanted rows only.
//
// Gradients of parameters are added to their .grad during the node's backward pass; hooks of
// LibTorch on parameters do not see them.
#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

#include "attune/adapter/pass.h"
#include "attune/tensor/tree.h"

namespace attune::model {

class Decoder;

/// A packed batch, and which of its rows the head will read.
struct TrunkInput {
  at::Tensor tokens_N;     ///< int64
  at::Tensor positions_N;  ///< int64
  std::shared_ptr<const tensor::Tree> tree;
  at::Tensor row_C;  ///< int64, each in [0, N); rows may repeat.
};

/// The hidden rows after the last norm, [C, D], as Decoder::forward gives them, on the CPU.
///
/// Where products of the backward pass are narrowed (tensor::narrow_products), what only that pass
/// reads is kept in bf16: the inputs of norms and of the gate.
/// @param recompute  keep each layer's input only, and run the layers again in the backward pass.
/// The decoder must outlive the backward pass.
at::Tensor trunk_rows(const Decoder& model,
                      const TrunkInput& input,
                      const adapter::Pass& pass,
                      bool recompute);

}  // namespace attune::model
