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

/// GFLOP/s of one kernel at [rows, in] x [out, in]^T, f32, best of a few runs.
double measure_gemm(GemmKernel kernel, int64_t rows, int64_t in, int64_t out);

/// The faster of the kernels at a typical shape, measured in about 50 ms, and its GFLOP/s.
struct GemmChoice {
  GemmKernel kernel = GemmKernel::kMkl;
  double gflops = 0;
};
GemmChoice choose_gemm_kernel(int64_t rows, int64_t in, int64_t out);

/// x_MI w_OI^T -> [M, O]. The product is computed in x's dtype: a narrower (bf16) weight is widened
/// first. No autograd.
at::Tensor product_nt(const at::Tensor& x_MI, const at::Tensor& w_OI);

/// g_MO w_OI -> [M, I], likewise.
at::Tensor product_nn(const at::Tensor& g_MO, const at::Tensor& w_OI);

}  // namespace attune::tensor
