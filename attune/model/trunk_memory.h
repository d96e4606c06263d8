// What the hand-written trunk keeps of a layer, and what is under way, laid out in one block.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "attune/model/decoder.h"
#include "attune/tensor/pages.h"

namespace attune::model {

/// Hands out pieces of a block one behind the other; without a block it only counts.
class Layout {
 public:
  explicit Layout(std::byte* base = nullptr) : base_(base) {}

  template <class X>
  X* take(int64_t count) {
    const size_t at = used_;
    constexpr size_t kLine = 64;
    used_ += (static_cast<size_t>(count) * sizeof(X) + kLine - 1) / kLine * kLine;
    return base_ == nullptr ? nullptr : reinterpret_cast<X*>(base_ + at);
  }
  [[nodiscard]] int64_t used() const {
    return static_cast<int64_t>(used_);
  }

 private:
  std::byte* base_;
  size_t used_ = 0;
};

/// The seven linear layers of a layer.
enum Projection { kQ, kK, kV, kO, kGate, kUp, kDown, kProjections };

/// Input and output width of each.
struct Widths {
  int64_t in = 0;
  int64_t out = 0;
};
std::array<Widths, kProjections> projection_widths(const DecoderShape& shape);

/// The projections of a layer, in that order.
std::array<const adapter::Linear*, kProjections> projections(const DecoderLayer& layer);

/// Whether the tensor is there and trained.
inline bool carries(const at::Tensor& t) {
  return t.defined() && t.requires_grad();
}

/// Whether a layer holds anything that is trained, its adapters counted or not.
bool any_trained(const DecoderLayer& layer, bool adapters);

/// What the backward pass reads of one layer. K is T, or the bits of bf16 for what may be rounded.
/// M rows: N, or the wanted ones in the last layer.
template <class T, class K>
struct KeptLayer {
  K* x = nullptr;                           ///< [N, D] input
  T* rstd_in = nullptr;                     ///< [N]
  T* q = nullptr;                           ///< [N, H, E] rotated
  T* k = nullptr;                           ///< [N, G, E] rotated
  T* v = nullptr;                           ///< [N, G, E]
  T* q_raw = nullptr;                       ///< [N, H, E] before its norm; only with qk_norm
  T* k_raw = nullptr;                       ///< [N, G, E]
  T* rstd_q = nullptr;                      ///< [N, H]
  T* rstd_k = nullptr;                      ///< [N, G]
  T* out = nullptr;                         ///< [N, H, E] attention's result
  T* lse = nullptr;                         ///< [N, H]
  K* h = nullptr;                           ///< [M, D] residual stream between the two halves
  T* rstd_post = nullptr;                   ///< [M]
  K* gate = nullptr;                        ///< [M, F]
  K* up = nullptr;                          ///< [M, F]
  std::array<T*, kProjections> inner = {};  ///< [rows, R] of each adapter, scaled
};

/// What is under way in either pass.
template <class T>
struct Work {
  T* x = nullptr;              ///< [N, D] residual stream
  T* normed = nullptr;         ///< [N, D]
  T* y = nullptr;              ///< [N, F] the gate's result
  uint16_t* narrow = nullptr;  ///< an operand in bf16
  T* dx = nullptr;             ///< [N, D] slope of the residual stream
  T* dnormed = nullptr;        ///< [N, D]
  T* dgate = nullptr;          ///< [N, 2 F] slopes of gate and up
  T* dq = nullptr;             ///< [N, H E + 2 G E] slopes of q, k and v, each in one piece
  T* dout = nullptr;           ///< [N, H, E]
  T* rows = nullptr;           ///< [U, widest] rows that were picked, or scattered
  std::array<T*, kProjections> dinner = {};  ///< [N, R] slope of each adapter's inner product
  T* extra = nullptr;                        ///< [N, widest] what dropout masks
  T* masked = nullptr;                       ///< [N, widest]
  T* slope = nullptr;                        ///< [R, widest] a gradient of an adapter
};

/// What decides the block's size.
struct TrunkNeeds {
  int64_t N = 0;
  int64_t U = 0;        ///< Wanted rows.
  int64_t lowest = 0;   ///< The lowest layer that holds a trained number; -1: the embedding does.
  bool trains = false;  ///< A backward pass will come,
  bool recompute = false;  ///< which runs the layers again.
  bool narrow = false;     ///< Operands in bf16.
  bool rounds = false;     ///< What only the backward pass reads is kept in bf16.
  bool dropout = false;
  bool wide_gate = false;  ///< Slopes of gate and up are needed in T: one of them is trained, or
                           ///< they cannot be narrowed.
  std::vector<std::array<int64_t, kProjections>> ranks = {};  ///< Of each layer's adapters.
};

/// Everything of one pass, in its place.
template <class T, class K>
struct TrunkLayout {
  Work<T> work = {};
  T* last_UD = nullptr;                     ///< What the last norm reads.
  T* rstd_last = nullptr;                   ///< [U]
  std::vector<KeptLayer<T, K>> slots = {};  ///< One, or one for each layer from `lowest` on.
  std::vector<T*> inputs = {};              ///< Of each layer, where layers run again.
};
template <class T, class K>
TrunkLayout<T, K> lay_out(Layout& memory, const DecoderShape& shape, const TrunkNeeds& needs);

/// Bytes of the block, with numbers in f32.
int64_t trunk_bytes(const DecoderShape& shape, const TrunkNeeds& needs);

/// A block of `bytes` or more that no batch uses; blocks come back and are handed out again, and of
/// several that are free only the largest is kept. Pages that were never touched take no memory.
tensor::Pages take_block(int64_t bytes);
void give_block(tensor::Pages block);

}  // namespace attune::model
