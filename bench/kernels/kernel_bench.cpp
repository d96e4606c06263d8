// How fast the kernels of a training step are, each alone, at SmolLM2's shapes.
// Run: kernel_bench [--benchmark_filter=tiles] and all else that Google Benchmark takes.
//
// GFLOP/s counts two operations for a multiply-add; GB/s what must be read and written at least
// once. Both are of the whole call on all threads (OMP_NUM_THREADS), by wall time.
#include <cstring>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "attune/nn/attention_panels.h"
#include "attune/nn/head_chunks.h"
#include "attune/nn/kernels.h"
#include "attune/optim/adamw.h"
#include "attune/tensor/allocator.h"
#include "attune/tensor/gemm.h"
#include "attune/tensor/tiles.h"

namespace attune {
namespace {

using benchmark::Counter;
using benchmark::State;

constexpr int64_t kWidth = 576;
constexpr int64_t kInner = 1536;
constexpr int64_t kHeads = 9;
constexpr int64_t kKvHeads = 3;
constexpr int64_t kHeadDim = 64;
constexpr int64_t kVocabulary = 49152;

void count(State& state, const char* name, double each) {
  state.counters[name] = Counter(each * 1e-9, Counter::kIsIterationInvariantRate);
}

float* f32(const at::Tensor& x) {
  return x.data_ptr<float>();
}

// x_MI w_OI^T, or g_MO w_OI with `back`, as the layers by hand call it; x is bf16 already.
void tiles(State& state, at::ScalarType dtype, bool back) {
  const int64_t M = state.range(0);
  const int64_t in = state.range(1);
  const int64_t out = state.range(2);
  if (dtype == at::kBFloat16 && !tensor::tiles_take_bf16()) {
    state.SkipWithError("this machine's kernels take no bf16");
    return;
  }
  const at::Tensor x = at::randn({M, in}).to(dtype);
  const at::Tensor w = at::randn(back ? at::IntArrayRef{in, out} : at::IntArrayRef{out, in});
  const at::Tensor y = at::empty({M, out});
  const std::array product{
      std::vector<tensor::Summand>{{.x = {.data = x.const_data_ptr(), .dtype = dtype, .stride = in},
                                    .K = in,
                                    .w = {.data = w.const_data_ptr(), .stride = back ? out : in},
                                    .transposed = !back}}};
  float* const to = f32(y);
  for (auto unused : state) {
    tensor::tile_product<float>(M, out, product, [&](const tensor::Tile<float>& tile) {
      for (int64_t r = 0; r < tile.rows; ++r) {
        std::memcpy(to + (tile.row + r) * out + tile.column,
                    tile.y[0] + r * tensor::Tile<float>::kStride,
                    static_cast<size_t>(tile.columns) * sizeof(float));
      }
    });
  }
  count(state, "GFLOP/s", 2.0 * static_cast<double>(M * in * out));
}

void tiles_f32(State& state) {
  tiles(state, at::kFloat, /*back=*/false);
}
void tiles_f32_back(State& state) {
  tiles(state, at::kFloat, /*back=*/true);
}
void tiles_bf16(State& state) {
  tiles(state, at::kBFloat16, /*back=*/false);
}
void tiles_bf16_back(State& state) {
  tiles(state, at::kBFloat16, /*back=*/true);
}

void shapes(benchmark::internal::Benchmark* b) {
  for (const int64_t rows : {256, 1024}) {
    b->Args({rows, kWidth, kInner})->Args({rows, kInner, kWidth})->Args({rows, kWidth, kWidth});
  }
  b->ArgNames({"rows", "in", "out"});
}

// The whole operator of LibTorch at the same shapes, by the kernel that is named.
void gemm(State& state, tensor::GemmKernel kernel) {
  const int64_t M = state.range(0);
  const int64_t in = state.range(1);
  const int64_t out = state.range(2);
  tensor::set_gemm_kernel(kernel);
  if (tensor::gemm_kernel() != kernel) {
    state.SkipWithError("LibTorch was built without it");
    return;
  }
  const at::Tensor x_MI = at::randn({M, in});
  const at::Tensor w_OI = at::randn({out, in});
  for (auto unused : state) {
    benchmark::DoNotOptimize(tensor::product_nt(x_MI, w_OI));
  }
  count(state, "GFLOP/s", 2.0 * static_cast<double>(M * in * out));
}

void gemm_mkl(State& state) {
  gemm(state, tensor::GemmKernel::kMkl);
}
void gemm_onednn(State& state) {
  gemm(state, tensor::GemmKernel::kOneDnn);
}

// Groups of one prompt and two completions, and the scores that are computed for them.
struct Texts {
  Texts(int64_t groups, int64_t prompt, int64_t completion) {
    tensor::Tree tree;
    for (int64_t g = 0; g < groups; ++g) {
      const auto parent = static_cast<int64_t>(tree.segments.size());
      tree.segments.push_back({N, N + prompt, -1});
      N += prompt;
      for (int i = 0; i < 2; ++i) {
        tree.segments.push_back({N, N + completion, parent});
        N += completion;
      }
      scores += prompt * (prompt + 1) / 2 + 2 * completion * prompt + completion * (completion + 1);
    }
    plan = nn::plan_attention(tree, kKvHeads);
    q = at::randn({N, kHeads, kHeadDim});
    k = at::randn({N, kKvHeads, kHeadDim});
    v = at::randn({N, kKvHeads, kHeadDim});
    out = at::empty({N, kHeads, kHeadDim});
    lse = at::empty({N, kHeads});
    in = {.H = kHeads, .G = kKvHeads, .E = kHeadDim, .q = f32(q), .k = f32(k), .v = f32(v)};
    to = {.out = f32(out), .lse = f32(lse)};
  }
  int64_t N = 0;
  int64_t scores = 0;  // of one head
  nn::AttentionPlan plan;
  at::Tensor q, k, v, out, lse;
  nn::AttentionInput<float> in;
  nn::AttentionOutput<float> to;
};

// Two products of the scores forward, five backward.
void attention(State& state) {
  const Texts texts(state.range(0), state.range(1), state.range(2));
  for (auto unused : state) {
    nn::attend_by_panels(texts.in, texts.plan, texts.to);
  }
  count(state, "GFLOP/s", 4.0 * static_cast<double>(texts.scores * kHeads * kHeadDim));
}

void attention_back(State& state) {
  const Texts texts(state.range(0), state.range(1), state.range(2));
  nn::attend_by_panels(texts.in, texts.plan, texts.to);
  const at::Tensor dout = at::randn({texts.N, kHeads, kHeadDim});
  const at::Tensor dq = at::empty({texts.N, kHeads, kHeadDim});
  const at::Tensor dk = at::zeros({texts.N, kKvHeads, kHeadDim});
  const at::Tensor dv = at::zeros({texts.N, kKvHeads, kHeadDim});
  const nn::AttentionSlopes<float> slopes{.out = f32(texts.out),
                                          .lse = f32(texts.lse),
                                          .dout = f32(dout),
                                          .dq = f32(dq),
                                          .dk = f32(dk),
                                          .dv = f32(dv)};
  for (auto unused : state) {
    nn::attend_backward_by_panels(texts.in, texts.plan, slopes);
  }
  count(state, "GFLOP/s", 10.0 * static_cast<double>(texts.scores * kHeads * kHeadDim));
}

void texts(benchmark::internal::Benchmark* b) {
  b->Args({8, 74, 58})->Args({4, 256, 256})->Args({1, 2048, 64});
  b->ArgNames({"groups", "prompt", "completion"});
}

// Logits of all words; with the slope as many operations once more.
void head(State& state, bool slope, bool second_pass) {
  const int64_t C = state.range(0);
  const at::Tensor h_CD = at::randn({C, kWidth});
  const at::Tensor weight_VD = at::randn({kVocabulary, kWidth}) * 0.02;
  const at::Tensor label_C = at::randint(kVocabulary, {C}, at::kLong);
  const at::Tensor g_C = at::ones({C}, at::kDouble);
  const at::Tensor lse_C =
      second_pass ? nn::head_sums(h_CD, weight_VD, label_C, false, false).lse_C : at::Tensor();
  const at::Tensor to_VD = at::zeros_like(weight_VD);
  for (auto unused : state) {
    if (second_pass) {
      benchmark::DoNotOptimize(nn::head_slopes(h_CD, weight_VD, label_C, lse_C, g_C, to_VD));
    } else {
      benchmark::DoNotOptimize(nn::head_sums(h_CD, weight_VD, label_C, slope, false));
    }
  }
  const double products = second_pass ? 3 : (slope ? 2 : 1);
  count(state, "GFLOP/s", 2 * products * static_cast<double>(C * kWidth * kVocabulary));
}

void head_logps(State& state) {
  head(state, /*slope=*/false, /*second_pass=*/false);
}
void head_with_slope(State& state) {
  head(state, /*slope=*/true, /*second_pass=*/false);
}
void head_trained(State& state) {
  head(state, /*slope=*/false, /*second_pass=*/true);
}

// The loops by rows run on one thread here: the layers by hand share rows out to threads.
void norm(State& state) {
  const int64_t N = state.range(0);
  const at::Tensor x = at::randn({N, kWidth});
  const at::Tensor w = at::ones({kWidth});
  const at::Tensor y = at::empty({N, kWidth});
  const at::Tensor rstd = at::empty({N});
  for (auto unused : state) {
    nn::rms_norm_rows(f32(x), f32(w), 1e-5, N, kWidth, f32(y), f32(rstd));
  }
  count(state, "GB/s", 8.0 * static_cast<double>(N * kWidth));
}

void norm_back(State& state) {
  const int64_t N = state.range(0);
  const at::Tensor g = at::randn({N, kWidth});
  const at::Tensor x = at::randn({N, kWidth});
  const at::Tensor w = at::ones({kWidth});
  const at::Tensor dx = at::empty({N, kWidth});
  const at::Tensor rstd = at::ones({N});
  for (auto unused : state) {
    nn::rms_norm_backward_rows(f32(g), f32(x), f32(w), f32(rstd), N, kWidth, f32(dx));
  }
  count(state, "GB/s", 12.0 * static_cast<double>(N * kWidth));
}

void rotary(State& state) {
  const int64_t N = state.range(0);
  const at::Tensor x = at::randn({N, kHeads, kHeadDim});
  const at::Tensor cos = at::ones({N, kHeadDim / 2});
  const at::Tensor sin = at::zeros({N, kHeadDim / 2});
  for (auto unused : state) {
    nn::rotate_rows(f32(x), f32(cos), f32(sin), 1.0F, N, kHeads, kHeadDim);
  }
  count(state, "GB/s", 8.0 * static_cast<double>(N * kHeads * kHeadDim));
}

void swiglu(State& state) {
  const int64_t N = state.range(0);
  const at::Tensor gate = at::randn({N, kInner});
  const at::Tensor up = at::randn({N, kInner});
  const at::Tensor y = at::empty({N, kInner});
  for (auto unused : state) {
    nn::swiglu(f32(gate), f32(up), N * kInner, f32(y));
  }
  count(state, "GB/s", 12.0 * static_cast<double>(N * kInner));
}

void swiglu_back(State& state) {
  const int64_t N = state.range(0);
  const at::Tensor g = at::randn({N, kInner});
  const at::Tensor gate = at::randn({N, kInner});
  const at::Tensor up = at::randn({N, kInner});
  const at::Tensor dgate = at::empty({N, kInner});
  const at::Tensor dup = at::empty({N, kInner});
  for (auto unused : state) {
    nn::swiglu_backward(f32(g), f32(gate), f32(up), N * kInner, f32(dgate), f32(dup));
  }
  count(state, "GB/s", 20.0 * static_cast<double>(N * kInner));
}

// Numbers of one parameter with its gradient.
at::Tensor parameter(int64_t size) {
  at::Tensor w = at::randn({size}).set_requires_grad(true);
  w.mutable_grad() = at::randn({size}) * 1e-3;
  return w;
}

// Reads weight, gradient and both moments, writes all but the gradient.
void adamw(State& state) {
  const int64_t size = state.range(0);
  optim::AdamW optimizer({parameter(size)}, {});
  for (auto unused : state) {
    optimizer.step(1e-5);
  }
  count(state, "GB/s", 28.0 * static_cast<double>(size));
}

void grad_norm(State& state) {
  const int64_t size = state.range(0);
  const at::Tensor w = parameter(size);
  for (auto unused : state) {
    benchmark::DoNotOptimize(optim::grad_norm({w}));
  }
  count(state, "GB/s", 4.0 * static_cast<double>(size));
}

// A norm just above the bound: the gradients stay about what they are.
void clip(State& state) {
  const int64_t size = state.range(0);
  const at::Tensor w = parameter(size);
  for (auto unused : state) {
    optim::clip_gradients({w}, /*norm=*/1 + 1e-6, /*max_norm=*/1);
  }
  count(state, "GB/s", 8.0 * static_cast<double>(size));
}

void all(const char* name, void (*run)(State&), const std::vector<int64_t>& sizes, const char* of) {
  auto* const b = benchmark::RegisterBenchmark(name, run);
  for (const int64_t size : sizes) {
    b->Arg(size);
  }
  b->ArgName(of)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

void register_all() {
  struct Product {
    const char* name;
    void (*run)(State&);
    void (*of)(benchmark::internal::Benchmark*);
  };
  for (const Product& product : {Product{"tiles_f32", tiles_f32, shapes},
                                 Product{"tiles_f32_back", tiles_f32_back, shapes},
                                 Product{"tiles_bf16", tiles_bf16, shapes},
                                 Product{"tiles_bf16_back", tiles_bf16_back, shapes},
                                 Product{"gemm_mkl", gemm_mkl, shapes},
                                 Product{"gemm_onednn", gemm_onednn, shapes},
                                 Product{"attention", attention, texts},
                                 Product{"attention_back", attention_back, texts}}) {
    auto* const b = benchmark::RegisterBenchmark(product.name, product.run);
    product.of(b);
    b->UseRealTime()->Unit(benchmark::kMicrosecond);
  }
  all("head_logps", head_logps, {64, 512}, "rows");
  all("head_with_slope", head_with_slope, {64, 512}, "rows");
  all("head_trained", head_trained, {64, 512}, "rows");
  all("norm", norm, {1024}, "rows");
  all("norm_back", norm_back, {1024}, "rows");
  all("rotary", rotary, {1024}, "rows");
  all("swiglu", swiglu, {1024}, "rows");
  all("swiglu_back", swiglu_back, {1024}, "rows");
  const std::vector<int64_t> sizes{kWidth * kWidth, kVocabulary * kWidth};
  all("adamw", adamw, sizes, "numbers");
  all("grad_norm", grad_norm, sizes, "numbers");
  all("clip", clip, sizes, "numbers");
}

}  // namespace
}  // namespace attune

int main(int argc, char** argv) {
  attune::tensor::use_block_cache();
  const at::NoGradGuard no_grad;
  attune::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return 2;
  }
  benchmark::AddCustomContext("threads", std::to_string(at::get_num_threads()));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
