// One forward pass of the hand-written trunk, and the backward pass that belongs to it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "attune/model/decoder.h"
#include "attune/model/trunk.h"
#include "attune/model/trunk_memory.h"
#include "attune/nn/attention_plan.h"
#include "attune/tensor/gemm.h"
#include "attune/tensor/tiles.h"

namespace attune::model {

/// What a pass is, whatever its numbers are.
class AnyTrunkPass {
 public:
  virtual ~AnyTrunkPass() = default;
  /// @return [U, D]: the wanted rows, each once, in ascending order.
  virtual at::Tensor forward() = 0;
  /// Adds to the parameters' gradients. Once, after forward().
  virtual void backward(const at::Tensor& slope_UD) = 0;
};

/// @param rows_U  the wanted rows, ascending, each once.
/// @param trains  whether a backward pass will come.
std::unique_ptr<AnyTrunkPass> make_trunk_pass(const Decoder& model,
                                              const TrunkInput& input,
                                              const adapter::Pass& pass,
                                              std::vector<int64_t> rows_U,
                                              bool recompute,
                                              bool trains);

/// An adapter's numbers in T.
template <class T>
struct TrunkAdapter {
  const adapter::Lora* lora = nullptr;
  at::Tensor a_RI;  // holds what a and b point to
  at::Tensor b_OR;
  int64_t R = 0;
  double scale = 1;
  double dropout = 0;
  uint64_t key = 0;
};

/// A frozen view of a weight in T; undefined stays undefined.
template <class T>
at::Tensor in_type(const at::Tensor& t) {
  return t.defined() ? t.detach().to(c10::CppTypeToScalarType<T>::value).contiguous() : t;
}

/// Stores a tile of `y` in a row-major matrix of `width` columns.
template <class T>
void put_tile(const tensor::Tile<T>& tile, const T* y, T* to, int64_t width) {
  for (int64_t r = 0; r < tile.rows; ++r) {
    const T* const from = y + r * tensor::Tile<T>::kStride;
    std::copy_n(from, tile.columns, to + (tile.row + r) * width + tile.column);
  }
}

/// T: of the numbers. K: of what only the backward pass reads, T or the bits of bf16.
template <class T, class K>
class TrunkPass : public AnyTrunkPass {
 public:
  TrunkPass(const Decoder& model,
            const TrunkInput& input,
            const adapter::Pass& pass,
            std::vector<int64_t> rows_U,
            bool recompute,
            bool trains);
  ~TrunkPass() override;
  TrunkPass(const TrunkPass&) = delete;
  TrunkPass& operator=(const TrunkPass&) = delete;

  at::Tensor forward() override;
  void backward(const at::Tensor& slope_UD) override;

 private:
  using Kept = KeptLayer<T, K>;
  using Sum = std::vector<tensor::Summand>;
  using Store = std::function<void(const tensor::Tile<T>&)>;
  static constexpr bool kRounds = !std::is_same<T, K>::value;
  static constexpr at::ScalarType kType = c10::CppTypeToScalarType<T>::value;

  // forward
  void forward_layer(int64_t index, Kept& kept);
  void project(int64_t index, Kept& kept);
  void gather_wanted(Kept& kept);
  void feed_forward(int64_t index, int64_t rows, Kept& kept);
  void norm_rows(const T* x, const at::Tensor& weight_D, int64_t rows, T* rstd, K* keep);
  void adapter_inner(int64_t index, Projection p, const T* x, int64_t rows, Kept& kept);
  /// The summands of x W^T and of the adapter, whose inner product is there.
  void add_forward(Sum& sum, int64_t index, Projection p, const T* x, int64_t rows, Kept& kept);

  // backward
  void backward_last_norm(const at::Tensor& slope_UD);
  void backward_feed_forward(int64_t index, int64_t rows, Kept& kept);
  void backward_gate(int64_t index, int64_t rows, Kept& kept);
  void backward_output(int64_t index, int64_t rows, Kept& kept);
  void scatter_wanted();
  void backward_attention(int64_t index, Kept& kept);
  void backward_projections(int64_t index, Kept& kept);
  void backward_head_norm(
      const at::Tensor& weight_E, const T* raw, const T* rstd, int64_t heads, T* g);
  /// dx += the slope of the norm's input, whose result has the slope work_.dnormed.
  void backward_norm(const at::Tensor& weight_D, const K* x, const T* rstd, int64_t rows);
  /// A slope g [rows, out] of projection p whose input was x: the gradients of its weight, bias and
  /// adapter. `x` may be null where none of them is trained.
  void parameter_slopes(int64_t index,
                        Projection p,
                        const T* g,
                        int64_t stride,
                        const T* x,
                        int64_t rows,
                        Kept& kept);
  void adapter_slopes(int64_t index,
                      Projection p,
                      const T* g,
                      int64_t stride,
                      const T* x,
                      int64_t rows,
                      Kept& kept);
  /// The summands of g W and of the adapter, after parameter_slopes. Masked ones go to work_.extra.
  void add_backward(
      Sum& sum, int64_t index, Projection p, const tensor::Rows& g, int64_t rows, bool& extra);
  /// work_.normed as the forward pass had it.
  void restore_normed(const K* x, const T* rstd, const at::Tensor& weight_D, int64_t rows);

  // both
  void product(int64_t rows, int64_t columns, std::span<const Sum> sums, const Store& store) const {
    tensor::tile_product<T>(rows, columns, sums, store);
  }
  /// x as an operand: itself, or rounded into work_.narrow, `offset` numbers a row from its start.
  tensor::Rows operand(const T* x, int64_t rows, int64_t width, bool narrow, int64_t offset = 0);
  [[nodiscard]] bool narrows(const at::Tensor& weight, bool backward) const;
  [[nodiscard]] TrunkNeeds needs() const;
  [[nodiscard]] int64_t rows_of(int64_t index) const;
  [[nodiscard]] const nn::AttentionPlan& plan_of(int64_t index) const {
    return index + 1 == shape_.layers ? last_plan_ : plan_;
  }
  /// Of the rows that projection p reads. @throws InternalError if the pass has none.
  [[nodiscard]] const int64_t* row_keys(int64_t index, Projection p) const;
  [[nodiscard]] const TrunkAdapter<T>& adapter(int64_t index, Projection p) const;
  [[nodiscard]] const adapter::Linear& linear(int64_t index, Projection p) const;
  [[nodiscard]] bool trained(int64_t index, Projection p) const;
  [[nodiscard]] const DecoderLayer& layer(int64_t index) const;
  Kept& slot(int64_t index);

  const Decoder& model_;
  const DecoderShape& shape_;
  TrunkInput input_;
  adapter::Pass pass_;
  std::vector<int64_t> rows_U_;
  std::vector<int64_t> keys_N_;  // row keys, and of the wanted rows
  std::vector<int64_t> keys_U_;
  bool recompute_;
  bool trains_;
  int64_t N_;
  int64_t U_;
  int64_t lowest_;  // the lowest layer that holds a trained number; -1: the embedding does
  tensor::Narrow narrow_;
  nn::RotaryAngles angles_;
  nn::AttentionPlan plan_;
  nn::AttentionPlan last_plan_;  // of the last layer: the wanted rows' queries
  std::vector<std::array<TrunkAdapter<T>, kProjections>> adapters_;

  tensor::Pages block_;
  TrunkLayout<T, K> memory_;
  Work<T> work_;                // memory_'s
  const T* rounded_ = nullptr;  // what stands rounded at the start of work_.narrow
};

}  // namespace attune::model
