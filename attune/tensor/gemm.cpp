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
#include "attune/tensor/tiles.h"

namespace attune::tensor {
namespace {

constexpr std::array<std::string_view, 2> kNames{"mkl", "onednn"};
constexpr std::array<std::string_view, 3> kNarrowTexts{"", ", backward bf16", ", bf16"};
constexpr std::string_view kTiles = ", tiles";
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

std::atomic<Narrow> narrow{Narrow::kNone};
std::atomic<bool> by_hand_now{true};

constexpr double kWorthIt = 1.15;
// Of a training step of SmolLM2, a quarter was spent on all but products by LibTorch's operators.
constexpr double kTilesMayCost = 0.85;

bool is_narrowed(const at::Tensor& x, int64_t weights, bool backward) {
  const Narrow mode = narrow.load(std::memory_order_relaxed);
  return (mode == Narrow::kAll || (backward && mode == Narrow::kBackward)) && x.is_cpu() &&
         x.scalar_type() == at::kFloat && weights >= kNarrowWeight;
}

at::Tensor narrowed(const at::Tensor& t) {
  return t.to(at::kBFloat16);
}

at::Tensor narrow_mm(const at::Tensor& a, const at::Tensor& b) {
  return at::mm(narrowed(a), narrowed(b)).to(at::kFloat);
}

bool by_onednn(const at::Tensor& x) {
  return current.load(std::memory_order_relaxed) == GemmKernel::kOneDnn && x.is_cpu() &&
         x.scalar_type() == at::kFloat && x.size(0) > 1;
}

at::Tensor widened(const at::Tensor& w, const at::Tensor& x) {
  return w.scalar_type() == x.scalar_type() ? w : w.to(x.scalar_type());
}

// GFLOP/s of the best of a few runs: the first one makes threads and packs caches.
template <class Product>
double rate_of(int64_t rows, int64_t in, int64_t out, Product&& product) {
  double best_s = 1e9;
  for (int run = 0; run < 6; ++run) {
    const auto start = std::chrono::steady_clock::now();
    product();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best_s = std::min(best_s, took.count());
  }
  return 2e-9 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out) /
         best_s;
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

Narrow narrow_products() {
  return narrow.load();
}

void set_narrow_products(Narrow mode) {
  narrow.store(mode);
}

bool hand_written_trunk() {
  return by_hand_now.load();
}

void set_hand_written_trunk(bool on) {
  by_hand_now.store(on);
}

double measure_gemm(GemmKernel kernel, int64_t rows, int64_t in, int64_t out) {
  if (kernel == GemmKernel::kOneDnn && !has_onednn()) {
    return 0;
  }
  const at::Tensor x_MI = at::ones({rows, in});
  const at::Tensor w_OI = at::ones({out, in});
  return rate_of(rows, in, out, [&] {
    kernel == GemmKernel::kOneDnn ? onednn_nt(x_MI, w_OI) : at::mm(x_MI, w_OI.t());
  });
}

double measure_narrow_gemm(int64_t rows, int64_t in, int64_t out) {
  const at::Tensor g_MO = at::ones({rows, out});
  const at::Tensor w_OI = at::ones({out, in});
  return rate_of(rows, in, out, [&] { narrow_mm(g_MO, w_OI); });
}

GemmChoice choose_gemm_kernel(int64_t rows, int64_t in, int64_t out) {
  const bool small = in * out < kNarrowWeight;
  double mkl = 0;
  double onednn = 0;
  GemmChoice best;
  // In turn, so that a moment in which the machine is busy does not decide.
  for (int round = 0; round < 3; ++round) {
    const auto keep = [](double& rate, double measured) { rate = std::max(rate, measured); };
    keep(mkl, measure_gemm(GemmKernel::kMkl, rows, in, out));
    keep(onednn, measure_gemm(GemmKernel::kOneDnn, rows, in, out));
    keep(best.tile_gflops, measure_tiles(rows, in, out, at::kFloat));
    if (!small) {
      keep(best.narrow_gflops, measure_narrow_gemm(rows, in, out));
      keep(best.tile_narrow_gflops, measure_tiles(rows, in, out, at::kBFloat16));
    }
  }
  best.kernel = onednn > mkl ? GemmKernel::kOneDnn : GemmKernel::kMkl;
  best.gflops = std::max(mkl, onednn);
  return best;
}

bool GemmChoice::by_hand() const {
  return tile_gflops >= kTilesMayCost * gflops;
}

double GemmChoice::wide_rate() const {
  return by_hand() ? tile_gflops : gflops;
}

double GemmChoice::narrow_rate() const {
  return by_hand() ? tile_narrow_gflops : narrow_gflops;
}

std::string text_of(const Products& products) {
  return std::string(name(products.kernel)) + std::string(products.tiles ? kTiles : "") +
         std::string(kNarrowTexts[static_cast<size_t>(products.narrow)]);
}

Products products_of(std::string_view text) {
  const std::string_view kernel = text.substr(0, text.find(','));
  std::string_view rest = text.substr(kernel.size());
  const bool tiles = rest.starts_with(kTiles);
  rest.remove_prefix(tiles ? kTiles.size() : 0);
  const auto* const at = std::find(kNarrowTexts.begin(), kNarrowTexts.end(), rest);
  check(at != kNarrowTexts.end(), "no products \"{}\"", text);
  return {.kernel = gemm_kernel_named(kernel),
          .tiles = tiles,
          .narrow = static_cast<Narrow>(at - kNarrowTexts.begin())};
}

Products choose_products(const GemmChoice& choice, std::string_view precision) {
  Products products{.kernel = choice.kernel, .tiles = choice.by_hand()};
  if (choice.narrow_rate() >= kWorthIt * choice.wide_rate()) {
    products.narrow = precision == "auto"   ? Narrow::kBackward
                      : precision == "bf16" ? Narrow::kAll
                                            : Narrow::kNone;
  }
  return products;
}

void use_products(const Products& products) {
  set_gemm_kernel(products.kernel);
  set_hand_written_trunk(products.tiles);
  set_narrow_products(products.narrow);
}

at::Tensor product_nt(const at::Tensor& x_MI, const at::Tensor& w_OI) {
  if (is_narrowed(x_MI, w_OI.numel(), /*backward=*/false)) {
    return narrow_mm(x_MI, w_OI.t());
  }
  const at::Tensor w = widened(w_OI, x_MI);
  return by_onednn(x_MI) ? onednn_nt(x_MI, w) : at::mm(x_MI, w.t());
}

at::Tensor product_nn(const at::Tensor& g_MO, const at::Tensor& w_OI) {
  if (is_narrowed(g_MO, w_OI.numel(), /*backward=*/false)) {
    return narrow_mm(g_MO, w_OI);
  }
  const at::Tensor w = widened(w_OI, g_MO);
  return by_onednn(g_MO) ? onednn_nt(g_MO, w.t()) : at::mm(g_MO, w);
}

at::Tensor slope_product_nn(const at::Tensor& g_MO, const at::Tensor& w_OI) {
  return is_narrowed(g_MO, w_OI.numel(), /*backward=*/true) ? narrow_mm(g_MO, w_OI)
                                                            : product_nn(g_MO, w_OI);
}

at::Tensor slope_product_tn(const at::Tensor& g_MO, const at::Tensor& x_MI) {
  return is_narrowed(g_MO, g_MO.size(1) * x_MI.size(1), /*backward=*/true)
             ? narrow_mm(g_MO.t(), x_MI)
             : at::mm(g_MO.t(), x_MI);
}

}  // namespace attune::tensor
