#include "attune/nn/attention_kernel.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "attune/nn/attention_panels.h"
#include "attune/nn/kernels.h"
#include "attune/tensor/blas.h"
#include "attune/tensor/parallel.h"

namespace attune::nn {
namespace {

using tensor::gemm;
using tensor::Side;

template <class T>
T scale_of(const AttentionInput<T>& in) {
  return static_cast<T>(1.0 / std::sqrt(static_cast<double>(in.E)));
}

// scores[rows, width] = scale x y^T over the block's keys, where x has H heads a row and y has G.
// A row-major matrix is the transpose of a column-major one, so BLAS is asked for y x^T.
template <class T>
void products(const AttentionInput<T>& in,
              const QueryBlock& block,
              const T* x,
              const T* y,
              T scale,
              T* scores) {
  for (const KeyBlock& keys : block.keys) {
    gemm<T>(Side::kTransposed,
            Side::kPlain,
            keys.end - keys.begin,
            block.end - block.begin,
            in.E,
            scale,
            y + keys.begin * in.G * in.E,
            in.G * in.E,
            x,
            in.H * in.E,
            T(0),
            scores + keys.column,
            block.width);
  }
}

// to[rows, E] = weights[rows, width] y over the block's keys; `to` has H heads a row and y has G.
template <class T>
void mix(
    const AttentionInput<T>& in, const QueryBlock& block, const T* weights, const T* y, T* to) {
  T beta = 0;
  for (const KeyBlock& keys : block.keys) {
    gemm<T>(Side::kPlain,
            Side::kPlain,
            in.E,
            block.end - block.begin,
            keys.end - keys.begin,
            T(1),
            y + keys.begin * in.G * in.E,
            in.G * in.E,
            weights + keys.column,
            block.width,
            beta,
            to,
            in.H * in.E);
    beta = 1;
  }
}

// to[keys, E] += weights[rows, width]^T x over the block's keys; x has H heads a row, `to` has G.
template <class T>
void spread(
    const AttentionInput<T>& in, const QueryBlock& block, const T* weights, const T* x, T* to) {
  for (const KeyBlock& keys : block.keys) {
    gemm<T>(Side::kPlain,
            Side::kTransposed,
            in.E,
            keys.end - keys.begin,
            block.end - block.begin,
            T(1),
            x,
            in.H * in.E,
            weights + keys.column,
            block.width,
            T(1),
            to + keys.begin * in.G * in.E,
            in.G * in.E);
  }
}

}  // namespace

template <class T>
void attend(const AttentionInput<T>& in,
            const QueryBlock& block,
            int64_t h,
            const AttentionOutput<T>& to,
            AttentionScratch<T>& scratch) {
  const int64_t g = h / (in.H / in.G);
  const int64_t rows = block.end - block.begin;
  const int64_t at = (block.begin * in.H + h) * in.E;
  scratch.p.resize(std::max(scratch.p.size(), static_cast<size_t>(rows * block.width)));
  T* const p = scratch.p.data();
  products(in, block, in.q + at, in.k + g * in.E, scale_of(in), p);
  for (int64_t r = 0; r < rows; ++r) {
    T* const line = p + r * block.width;
    const int64_t seen = block.width - rows + r + 1;
    const T top = largest(line, seen);
    const T sum = exp_shifted(line, top, seen);
    for (int64_t j = 0; j < seen; ++j) {
      line[j] /= sum;
    }
    std::fill(line + seen, line + block.width, T(0));
    to.lse[(block.begin + r) * in.H + h] = top + std::log(sum);
  }
  mix(in, block, p, in.v + g * in.E, to.out + at);
}

template <class T>
void attend_backward(const AttentionInput<T>& in,
                     const QueryBlock& block,
                     int64_t h,
                     const AttentionSlopes<T>& slopes,
                     AttentionScratch<T>& scratch) {
  const int64_t g = h / (in.H / in.G);
  const int64_t rows = block.end - block.begin;
  const int64_t at = (block.begin * in.H + h) * in.E;
  const T scale = scale_of(in);
  scratch.p.resize(std::max(scratch.p.size(), static_cast<size_t>(rows * block.width)));
  scratch.ds.resize(scratch.p.size());
  T* const p = scratch.p.data();
  T* const ds = scratch.ds.data();
  products(in, block, in.q + at, in.k + g * in.E, scale, p);
  products(in, block, slopes.dout + at, in.v + g * in.E, T(1), ds);
  for (int64_t r = 0; r < rows; ++r) {
    T* const pline = p + r * block.width;
    T* const dline = ds + r * block.width;
    const int64_t seen = block.width - rows + r + 1;
    exp_shifted(pline, slopes.lse[(block.begin + r) * in.H + h], seen);
    T dot = 0;
    for (int64_t e = 0; e < in.E; ++e) {
      dot += slopes.dout[at + r * in.H * in.E + e] * slopes.out[at + r * in.H * in.E + e];
    }
    for (int64_t j = 0; j < seen; ++j) {
      dline[j] = pline[j] * (dline[j] - dot) * scale;
    }
    std::fill(pline + seen, pline + block.width, T(0));
    std::fill(dline + seen, dline + block.width, T(0));
  }
  spread(in, block, p, slopes.dout + at, slopes.dv + g * in.E);
  spread(in, block, ds, in.q + at, slopes.dk + g * in.E);
  mix(in, block, ds, in.k + g * in.E, slopes.dq + at);
}

namespace {

// Calls body(block, query head, scratch) for all blocks and heads. What belongs to one key/value
// head is done by one thread, in one order.
template <class T, class Body>
void each_block(const AttentionInput<T>& in, const AttentionPlan& plan, Body&& body) {
  const int64_t heads = in.H / in.G;
  tensor::share_out(in.G, 1, [&](int64_t begin, int64_t end) {
    thread_local AttentionScratch<T> scratch;
    for (const AttentionFamily& family : plan.families) {
      for (const QueryBlock& block : family.blocks) {
        for (int64_t h = begin * heads; h < end * heads; ++h) {
          body(block, h, scratch);
        }
      }
    }
  });
}

}  // namespace

template <class T>
void attend_tree(const AttentionInput<T>& in,
                 const AttentionPlan& plan,
                 const AttentionOutput<T>& to) {
  if constexpr (std::is_same_v<T, float>) {
    attend_by_panels(in, plan, to);
  } else {
    each_block(in, plan, [&](const QueryBlock& block, int64_t h, AttentionScratch<T>& scratch) {
      attend(in, block, h, to, scratch);
    });
  }
}

template <class T>
void attend_tree_backward(const AttentionInput<T>& in,
                          const AttentionPlan& plan,
                          const AttentionSlopes<T>& slopes,
                          [[maybe_unused]] bool narrow) {
  if constexpr (std::is_same_v<T, float>) {
    attend_backward_by_panels(in, plan, slopes, narrow);
  } else {
    each_block(in, plan, [&](const QueryBlock& block, int64_t h, AttentionScratch<T>& scratch) {
      attend_backward(in, block, h, slopes, scratch);
    });
  }
}

template void attend(const AttentionInput<double>&,
                     const QueryBlock&,
                     int64_t,
                     const AttentionOutput<double>&,
                     AttentionScratch<double>&);
template void attend_backward(const AttentionInput<double>&,
                              const QueryBlock&,
                              int64_t,
                              const AttentionSlopes<double>&,
                              AttentionScratch<double>&);

#define ATTUNE_INSTANCES(T)                                                       \
  template void attend_tree(                                                      \
      const AttentionInput<T>&, const AttentionPlan&, const AttentionOutput<T>&); \
  template void attend_tree_backward(                                             \
      const AttentionInput<T>&, const AttentionPlan&, const AttentionSlopes<T>&, bool);

ATTUNE_INSTANCES(float)
ATTUNE_INSTANCES(double)

#undef ATTUNE_INSTANCES

}  // namespace attune::nn
