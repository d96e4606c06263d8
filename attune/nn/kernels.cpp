#include "attune/nn/kernels.h"

#include <cmath>

#include "attune/core/clones.h"
#include "attune/nn/exp.h"
#include "attune/nn/gate.h"
#include "attune/tensor/narrow.h"

namespace attune::nn {
namespace {

template <class T>
[[gnu::always_inline]] inline void rms_norm_body(
    const T* x, const T* w, double eps, int64_t n, int64_t d, T* y, T* rstd) {
  for (int64_t i = 0; i < n; ++i) {
    const T* row = x + i * d;
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < d; ++j) {
      sum += row[j] * row[j];
    }
    const T scale = T(1) / std::sqrt(sum / static_cast<T>(d) + static_cast<T>(eps));
    rstd[i] = scale;
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) {
      y[i * d + j] = row[j] * scale * w[j];
    }
  }
}

template <class T>
[[gnu::always_inline]] inline void rms_norm_backward_body(
    const T* g, const T* x, const T* w, const T* rstd, int64_t n, int64_t d, T* dx) {
  for (int64_t i = 0; i < n; ++i) {
    const T* grow = g + i * d;
    const T* row = x + i * d;
    T dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t j = 0; j < d; ++j) {
      dot += grow[j] * w[j] * row[j];
    }
    const T scale = rstd[i];
    const T pull = dot * scale * scale * scale / static_cast<T>(d);
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) {
      dx[i * d + j] = grow[j] * w[j] * scale - row[j] * pull;
    }
  }
}

template <class T>
[[gnu::always_inline]] inline void rotate_body(
    T* x, const T* cos, const T* sin, T sign, int64_t n, int64_t h, int64_t e) {
  const int64_t half = e / 2;
  for (int64_t i = 0; i < n; ++i) {
    const T* c = cos + i * half;
    const T* s = sin + i * half;
    for (int64_t k = 0; k < h; ++k) {
      T* low = x + (i * h + k) * e;
      T* high = low + half;
#pragma omp simd
      for (int64_t j = 0; j < half; ++j) {
        const T a = low[j];
        const T b = high[j];
        low[j] = a * c[j] - sign * b * s[j];
        high[j] = b * c[j] + sign * a * s[j];
      }
    }
  }
}

template <class T>
[[gnu::always_inline]] inline void swiglu_body(const T* gate, const T* up, int64_t count, T* y) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    y[i] = gated(gate[i], up[i]);
  }
}

template <class T>
[[gnu::always_inline]] inline void swiglu_backward_body(
    const T* g, const T* gate, const T* up, int64_t count, T* dgate, T* dup) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    gated_backward(g[i], gate[i], up[i], dgate[i], dup[i]);
  }
}

template <class T>
[[gnu::always_inline]] inline T exp_shifted_body(T* x, T shift, int64_t count) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) {
    const T e = exp_of(x[i] - shift);
    x[i] = e;
    sum += e;
  }
  return sum;
}

template <class T>
[[gnu::always_inline]] inline T largest_body(const T* x, int64_t count) {
  T best = x[0];
#pragma omp simd reduction(max : best)
  for (int64_t i = 0; i < count; ++i) {
    best = x[i] > best ? x[i] : best;
  }
  return best;
}

}  // namespace

// target_clones cannot stand on a template: the instances are written out.
#define ATTUNE_INSTANCES(T)                                                                       \
  ATTUNE_CLONES static void rms_norm_##T(                                                         \
      const T* x, const T* w, double eps, int64_t n, int64_t d, T* y, T* rstd) {                  \
    rms_norm_body(x, w, eps, n, d, y, rstd);                                                      \
  }                                                                                               \
  ATTUNE_CLONES static void rms_norm_backward_##T(                                                \
      const T* g, const T* x, const T* w, const T* rstd, int64_t n, int64_t d, T* dx) {           \
    rms_norm_backward_body(g, x, w, rstd, n, d, dx);                                              \
  }                                                                                               \
  ATTUNE_CLONES static void rotate_##T(                                                           \
      T* x, const T* cos, const T* sin, T sign, int64_t n, int64_t h, int64_t e) {                \
    rotate_body(x, cos, sin, sign, n, h, e);                                                      \
  }                                                                                               \
  ATTUNE_CLONES static void swiglu_##T(const T* gate, const T* up, int64_t count, T* y) {         \
    swiglu_body(gate, up, count, y);                                                              \
  }                                                                                               \
  ATTUNE_CLONES static void swiglu_backward_##T(                                                  \
      const T* g, const T* gate, const T* up, int64_t count, T* dgate, T* dup) {                  \
    swiglu_backward_body(g, gate, up, count, dgate, dup);                                         \
  }                                                                                               \
  ATTUNE_CLONES static T exp_shifted_##T(T* x, T shift, int64_t count) {                          \
    return exp_shifted_body(x, shift, count);                                                     \
  }                                                                                               \
  ATTUNE_CLONES static T largest_##T(const T* x, int64_t count) {                                 \
    return largest_body(x, count);                                                                \
  }                                                                                               \
  template <>                                                                                     \
  void rms_norm_rows(const T* x, const T* w, double eps, int64_t n, int64_t d, T* y, T* rstd) {   \
    rms_norm_##T(x, w, eps, n, d, y, rstd);                                                       \
  }                                                                                               \
  template <>                                                                                     \
  void rms_norm_backward_rows(                                                                    \
      const T* g, const T* x, const T* w, const T* rstd, int64_t n, int64_t d, T* dx) {           \
    rms_norm_backward_##T(g, x, w, rstd, n, d, dx);                                               \
  }                                                                                               \
  template <>                                                                                     \
  void rotate_rows(T* x, const T* cos, const T* sin, T sign, int64_t n, int64_t h, int64_t e) {   \
    rotate_##T(x, cos, sin, sign, n, h, e);                                                       \
  }                                                                                               \
  template <>                                                                                     \
  void swiglu(const T* gate, const T* up, int64_t count, T* y) {                                  \
    swiglu_##T(gate, up, count, y);                                                               \
  }                                                                                               \
  template <>                                                                                     \
  void swiglu_backward(const T* g, const T* gate, const T* up, int64_t count, T* dgate, T* dup) { \
    swiglu_backward_##T(g, gate, up, count, dgate, dup);                                          \
  }                                                                                               \
  template <>                                                                                     \
  T exp_shifted(T* x, T shift, int64_t count) {                                                   \
    return exp_shifted_##T(x, shift, count);                                                      \
  }                                                                                               \
  template <>                                                                                     \
  T largest(const T* x, int64_t count) {                                                          \
    return largest_##T(x, count);                                                                 \
  }

ATTUNE_INSTANCES(float)
ATTUNE_INSTANCES(double)

ATTUNE_CLONES void narrow(const float* x, int64_t count, uint16_t* y) {
  for (int64_t i = 0; i < count; ++i) {
    y[i] = tensor::to_bf16(x[i]);
  }
}

ATTUNE_CLONES void widen(const uint16_t* x, int64_t count, float* y) {
  for (int64_t i = 0; i < count; ++i) {
    y[i] = tensor::from_bf16(x[i]);
  }
}

#undef ATTUNE_INSTANCES
#undef ATTUNE_CLONES

}  // namespace attune::nn
