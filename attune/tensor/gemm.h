// Matrix products of the trunk, by the kernel that this machine runs fastest.
//
// MKL and oneDNN differ by up to 1.5x, and which one wins depends on the vendor of the CPU, so the
// choice is measured, never guessed. It is a property of the process, like the number of threads.
#pragma once

#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>

namespace attune::tensor {

enum class GemmKernel { kMkl, kOneDnn };

std::string_view name(GemmKernel kernel);
/// @throws Error if there is no such kernel.
GemmKernel gemm_kernel_named(std::string_view name);

/// The kernel in use for f32 products on the CPU; everything else goes to ATen's own choice.
GemmKernel gemm_kernel();
void set_gemm_kernel(GemmKernel kernel);

/// Which products of f32 tensors are computed from bf16 numbers, with sums in f32 and the result
/// rounded to bf16. A gradient loses nothing that matters by it (cosine 0.99999 with the f32 one);
/// a log-ratio of policy and reference, a small difference of large sums, loses a lot (0.2 nats).
enum class Narrow { kNone, kBackward, kAll };
Narrow narrow_products();
/// Smaller weights are not worth the conversions. How many rows meet them has no part in it: a
/// text's numbers would depend on what else is in its batch.
inline constexpr int64_t kNarrowWeight = int64_t{1} << 16;
/// Whether tile products with a weight of that shape may be narrowed: they take numbers in pairs.
inline constexpr bool may_narrow(int64_t out, int64_t in) {
  return out * in >= kNarrowWeight && out % 2 == 0 && in % 2 == 0;
}
void set_narrow_products(Narrow narrow);

/// Whether the decoder's layers run by hand, on tile products (attune/tensor/tiles.h), and not as
/// LibTorch's operators. On at first.
bool hand_written_trunk();
void set_hand_written_trunk(bool on);

/// GFLOP/s of one kernel at [rows, in] x [out, in]^T, f32, best of a few runs.
double measure_gemm(GemmKernel kernel, int64_t rows, int64_t in, int64_t out);

/// The same of a product that is narrowed, the conversions included.
double measure_narrow_gemm(int64_t rows, int64_t in, int64_t out);

/// The faster of the kernels at a typical shape, and tile products, measured in some tenths of a
/// second.
struct GemmChoice {
  GemmKernel kernel = GemmKernel::kMkl;
  double gflops = 0;              ///< Of that kernel, in f32.
  double narrow_gflops = 0;       ///< Of narrowed products.
  double tile_gflops = 0;         ///< Of tile products, in f32.
  double tile_narrow_gflops = 0;  ///< Of tile products of bf16 numbers; 0: there are none.

  /// Whether the trunk is better written by hand: it saves all but the products, so these may be a
  /// little slower.
  [[nodiscard]] bool by_hand() const;
  /// Rates of the products as they will run.
  [[nodiscard]] double wide_rate() const;
  [[nodiscard]] double narrow_rate() const;
};
GemmChoice choose_gemm_kernel(int64_t rows, int64_t in, int64_t out);

/// The kernel of exact products, whether the trunk runs on tiles, and the use of narrowed products,
/// as a run remembers them: "onednn", "onednn, tiles, backward bf16", "mkl, bf16".
struct Products {
  GemmKernel kernel = GemmKernel::kMkl;
  bool tiles = false;
  Narrow narrow = Narrow::kNone;
};
std::string text_of(const Products& products);
/// @throws Error if it is not such a text.
Products products_of(std::string_view text);

/// What a precision of the run file means on this machine: auto narrows the backward pass, bf16
/// both passes, each only where that is measured to be 1.15 times as fast or more; f32 nothing.
Products choose_products(const GemmChoice& choice, std::string_view precision);

/// Makes them the process' own.
void use_products(const Products& products);

/// x_MI w_OI^T -> [M, O], of a forward pass. Computed in x's dtype (a bf16 weight is widened)
/// unless all products are narrowed. No autograd.
at::Tensor product_nt(const at::Tensor& x_MI, const at::Tensor& w_OI);

/// g_MO w_OI -> [M, I], of a forward pass, likewise.
at::Tensor product_nn(const at::Tensor& g_MO, const at::Tensor& w_OI);

/// product_nn of a backward pass.
at::Tensor slope_product_nn(const at::Tensor& g_MO, const at::Tensor& w_OI);

/// g_MO^T x_MI -> [O, I], of a backward pass.
at::Tensor slope_product_tn(const at::Tensor& g_MO, const at::Tensor& x_MI);

}  // namespace attune::tensor
