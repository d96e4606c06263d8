#pragma once

#include <cstdint>

namespace attune::tensor {

/// How a matrix enters a product.
enum class Side { kPlain, kTransposed };

/// C = alpha op(A) op(B) + beta C, column-major as BLAS has it: op(A) is m x k, op(B) k x n, C m x
/// n. Runs on one thread when called from one of several. f32 and f64. Every size fits 31 bits.
template <class T>
void gemm(Side a_side,
          Side b_side,
          int64_t m,
          int64_t n,
          int64_t k,
          T alpha,
          const T* a,
          int64_t lda,
          const T* b,
          int64_t ldb,
          T beta,
          T* c,
          int64_t ldc);

}  // namespace attune::tensor
