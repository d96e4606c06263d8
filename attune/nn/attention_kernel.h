// Attention on the CPU on raw row-major arrays: of a whole tree in f32 and f64, and of one block of
// queries in f64 (f32 goes by panels, attention_panels.h).
#pragma once

#include <cstdint>
#include <vector>

#include "attune/nn/attention_plan.h"

namespace attune::nn {

/// q [N, H, E]; k and v [N, G, E].
template <class T>
struct AttentionInput {
  int64_t H = 0;
  int64_t G = 0;
  int64_t E = 0;
  const T* q = nullptr;
  const T* k = nullptr;
  const T* v = nullptr;
};

/// out [N, H, E]; lse [N, H] is each query's log-sum-exp of its scores, for the backward pass.
template <class T>
struct AttentionOutput {
  T* out = nullptr;
  T* lse = nullptr;
};

/// What the backward pass reads (out, lse, dout), and what it makes: dq is set for the queries of
/// the plan's blocks, dk and dv are added to.
template <class T>
struct AttentionSlopes {
  const T* out = nullptr;
  const T* lse = nullptr;
  const T* dout = nullptr;
  T* dq = nullptr;
  T* dk = nullptr;
  T* dv = nullptr;
};

/// Memory for the scores of one block; each thread keeps its own.
template <class T>
struct AttentionScratch {
  std::vector<T> p;
  std::vector<T> ds;
};

/// The block's rows of out and lse for query head `h`; T f64.
template <class T>
void attend(const AttentionInput<T>& in,
            const QueryBlock& block,
            int64_t h,
            const AttentionOutput<T>& to,
            AttentionScratch<T>& scratch);

/// T f64. The block's rows of dq for query head `h`, and its shares of dk and dv.
///
///   p = softmax(scale q k^T),  dv += p^T dout,
///   ds = scale p (dout v^T - sum_e dout out),  dq = ds k,  dk += ds^T q
template <class T>
void attend_backward(const AttentionInput<T>& in,
                     const QueryBlock& block,
                     int64_t h,
                     const AttentionSlopes<T>& slopes,
                     AttentionScratch<T>& scratch);

/// attend() for every block and head of a plan, the key/value heads on different threads; in f32
/// the families, too.
template <class T>
void attend_tree(const AttentionInput<T>& in,
                 const AttentionPlan& plan,
                 const AttentionOutput<T>& to);

/// attend_backward() likewise; dk and dv are to be zero before.
/// @param narrow  T f32 only: the products behind the slopes of the scores take bf16 numbers.
template <class T>
void attend_tree_backward(const AttentionInput<T>& in,
                          const AttentionPlan& plan,
                          const AttentionSlopes<T>& slopes,
                          bool narrow = false);

}  // namespace attune::nn
