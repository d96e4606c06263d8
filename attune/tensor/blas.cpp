#include "attune/tensor/blas.h"

// LibTorch's library exports the BLAS that it was built with under the names of the standard.
extern "C" {
void sgemm_(const char* a_side,
            const char* b_side,
            const int32_t* m,
            const int32_t* n,
            const int32_t* k,
            const float* alpha,
            const float* a,
            const int32_t* lda,
            const float* b,
            const int32_t* ldb,
            const float* beta,
            float* c,
            const int32_t* ldc);
void dgemm_(const char* a_side,
            const char* b_side,
            const int32_t* m,
            const int32_t* n,
            const int32_t* k,
            const double* alpha,
            const double* a,
            const int32_t* lda,
            const double* b,
            const int32_t* ldb,
            const double* beta,
            double* c,
            const int32_t* ldc);
}

namespace attune::tensor {
namespace {

// The sizes as BLAS wants them: 32 bits, by address.
struct Sizes {
  int32_t m, n, k, lda, ldb, ldc;
};

char letter(Side side) {
  return side == Side::kTransposed ? 'T' : 'N';
}

}  // namespace

#define ATTUNE_GEMM(T, name)                                                                      \
  template <>                                                                                     \
  void gemm(Side a_side,                                                                          \
            Side b_side,                                                                          \
            int64_t m,                                                                            \
            int64_t n,                                                                            \
            int64_t k,                                                                            \
            T alpha,                                                                              \
            const T* a,                                                                           \
            int64_t lda,                                                                          \
            const T* b,                                                                           \
            int64_t ldb,                                                                          \
            T beta,                                                                               \
            T* c,                                                                                 \
            int64_t ldc) {                                                                        \
    const char a_letter = letter(a_side);                                                         \
    const char b_letter = letter(b_side);                                                         \
    const Sizes z{static_cast<int32_t>(m),                                                        \
                  static_cast<int32_t>(n),                                                        \
                  static_cast<int32_t>(k),                                                        \
                  static_cast<int32_t>(lda),                                                      \
                  static_cast<int32_t>(ldb),                                                      \
                  static_cast<int32_t>(ldc)};                                                     \
    name(&a_letter, &b_letter, &z.m, &z.n, &z.k, &alpha, a, &z.lda, b, &z.ldb, &beta, c, &z.ldc); \
  }

ATTUNE_GEMM(float, sgemm_)
ATTUNE_GEMM(double, dgemm_)

#undef ATTUNE_GEMM

}  // namespace attune::tensor
