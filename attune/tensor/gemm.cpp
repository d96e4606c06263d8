#include "attune/tensor/gemm.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>

#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>

#include "attune/core/error.h"
#include "attune/core/hint.h"

namespace attune::tensor {
namespace {

constexpr std::array<std::string_view, 2> kNames{"mkl", "onednn"};
std::atomic<GemmKernel> current{GemmKernel::kMkl};

using LinearPointwise = at::Tensor(const at::Tensor&,
                                   const at::Tensor&,
                                   const std::optional<at::Tensor>&,
                                   std::string_view,
                                   c10::List<std::optional<at::Scalar>>,
                                   std::optional<std::string_view>);

at::Tensor onednn_nt(const at::Tensor& x_MI, const at::Tensor& w_OI) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                             .typed<LinearPointwise>();
  return op.call(x_MI, w_OI, std::nullopt, "none", c10::List<std::optional<at::Scalar>>(), "");
}

bool has_onednn() {
  return c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""}).has_value();
}

bool by_onednn(const at::Tensor& x) {
  return current.load(std::memory_order_relaxed) == GemmKernel::kOneDnn && x.is_cpu() &&
         x.scalar_type() == at::kFloat && x.size(0) > 1;
}

at::Tensor widened(const at::Tensor& w, const at::Tensor& x) {
  return w.scalar_type() == x.scalar_type() ? w : w.to(x.scalar_type());
}

}  // namespace

std::string_view name(GemmKernel kernel) {
  return kNames[static_cast<size_t>(kernel)];
}

GemmKernel gemm_kernel_named(std::string_view name) {
  const auto* const at = std::find(kNames.begin(), kNames.end(), name);
  check(at != kNames.end(), "no matrix kernel \"{}\".{}", name, did_you_mean(name, kNames));
  return static_cast<GemmKernel>(at - kNames.begin());
}

GemmKernel gemm_kernel() {
  return current.load();
}

void set_gemm_kernel(GemmKernel kernel) {
  current.store(kernel == GemmKernel::kOneDnn && !has_onednn() ? GemmKernel::kMkl : kernel);
}

double measure_gemm(GemmKernel kernel, int64_t rows, int64_t in, int64_t out) {
  if (kernel == GemmKernel::kOneDnn && !has_onednn()) {
    return 0;
  }
  const at::Tensor x_MI = at::ones({rows, in});
  const at::Tensor w_OI = at::ones({out, in});
  double best_s = 1e9;
  for (int run = 0; run < 6; ++run) {  // the first one makes threads and packs caches
    const auto start = std::chrono::steady_clock::now();
    kernel == GemmKernel::kOneDnn ? onednn_nt(x_MI, w_OI) : at::mm(x_MI, w_OI.t());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best_s = std::min(best_s, took.count());
  }
  return 2e-9 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out) /
         best_s;
}

GemmChoice choose_gemm_kernel(int64_t rows, int64_t in, int64_t out) {
  const double mkl = measure_gemm(GemmKernel::kMkl, rows, in, out);
  const double onednn = measure_gemm(GemmKernel::kOneDnn, rows, in, out);
  return onednn > mkl ? GemmChoice{GemmKernel::kOneDnn, onednn} : GemmChoice{GemmKernel::kMkl, mkl};
}

at::Tensor product_nt(const at::Tensor& x_MI, const at::Tensor& w_OI) {
  const at::Tensor w = widened(w_OI, x_MI);
  return by_onednn(x_MI) ? onednn_nt(x_MI, w) : at::mm(x_MI, w.t());
}

at::Tensor product_nn(const at::Tensor& g_MO, const at::Tensor& w_OI) {
  const at::Tensor w = widened(w_OI, g_MO);
  return by_onednn(g_MO) ? onednn_nt(g_MO, w.t()) : at::mm(g_MO, w);
}

}  // namespace attune::tensor
