// The elementwise loops of the decoder on the CPU, for f32 and f64. Each is compiled for several
// instruction sets; the loader picks the best that the machine has. Rows are independent, so the
// result does not depend on the number of threads.
#pragma once

#include <cstdint>

namespace attune::nn {

/// y = x * rstd * w for each row of [n, d]; rstd[n] = 1 / sqrt(mean(x^2) + eps) is kept for the
/// backward pass.
template <class T>
void rms_norm_rows(const T* x, const T* w, double eps, int64_t n, int64_t d, T* y, T* rstd);

/// dx = rstd * (g w - x rstd^2 mean(g w x)) for each row of [n, d].
template <class T>
void rms_norm_backward_rows(
    const T* g, const T* x, const T* w, const T* rstd, int64_t n, int64_t d, T* dx);

/// Rotates the halves of each head by the row's angles, in place: x[n, h, e], cos and sin [n, e/2].
/// `sign` -1 rotates back, which is the backward pass.
template <class T>
void rotate_rows(T* x, const T* cos, const T* sin, T sign, int64_t n, int64_t h, int64_t e);

/// y = silu(gate) * up over `count` numbers.
template <class T>
void swiglu(const T* gate, const T* up, int64_t count, T* y);

/// The gradients of the two inputs of swiglu.
template <class T>
void swiglu_backward(const T* g, const T* gate, const T* up, int64_t count, T* dgate, T* dup);

/// x = exp(x - shift) for `count` numbers; returns the sum of the results.
template <class T>
T exp_shifted(T* x, T shift, int64_t count);

/// The largest of `count` numbers.
template <class T>
T largest(const T* x, int64_t count);

/// Rounds `count` numbers to bf16 (the bits), and back.
void narrow(const float* x, int64_t count, uint16_t* y);
void widen(const uint16_t* x, int64_t count, float* y);

}  // namespace attune::nn
