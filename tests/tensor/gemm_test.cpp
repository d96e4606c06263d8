#include "attune/tensor/gemm.h"

#include <functional>

#include <ATen/TensorOperators.h>
#include <ATen/ops/mm.h>

#include "attune/tensor/blas.h"

#include "tests/tensor/golden.h"

namespace attune::tensor {
namespace {

using tests::difference;
using tests::magnitude;
using tests::normal;

// Puts the process back to the kernel that it had.
class Gemm : public testing::Test {
 protected:
  ~Gemm() override {
    set_gemm_kernel(before_);
    set_narrow_products(Narrow::kNone);
  }
  GemmKernel before_ = gemm_kernel();
};

TEST_F(Gemm, KernelsAgreeWithF64) {
  // One row, fewer than a block of any kernel, and several.
  for (const int64_t M : {1, 3, 41, 307}) {
    const at::Tensor x = normal({M, 67}, 1);
    const at::Tensor w = normal({83, 67}, 2);
    const at::Tensor g = normal({M, 83}, 3);
    const at::Tensor nt = at::mm(x, w.t());
    const at::Tensor nn = at::mm(g, w);
    for (const GemmKernel kernel : {GemmKernel::kMkl, GemmKernel::kOneDnn}) {
      SCOPED_TRACE(fmt::format("{} rows, {}", M, name(kernel)));
      set_gemm_kernel(kernel);
      const auto f32 = [](const at::Tensor& t) { return t.to(at::kFloat); };
      EXPECT_LE(difference(product_nt(f32(x), f32(w)), nt), 1e-5 * magnitude(nt));
      EXPECT_LE(difference(product_nn(f32(g), f32(w)), nn), 1e-5 * magnitude(nn));
      EXPECT_LE(difference(product_nt(x, w), nt), 1e-13 * magnitude(nt));
      EXPECT_LE(difference(product_nn(g, w), nn), 1e-13 * magnitude(nn));
    }
  }
}

TEST_F(Gemm, ANarrowWeightIsWidenedNotX) {
  const at::Tensor x = normal({41, 67}, 1, at::kFloat);
  const at::Tensor w = normal({83, 67}, 2, at::kBFloat16);
  const at::Tensor want = at::mm(x.to(at::kDouble), w.to(at::kDouble).t());
  for (const GemmKernel kernel : {GemmKernel::kMkl, GemmKernel::kOneDnn}) {
    set_gemm_kernel(kernel);
    const at::Tensor y = product_nt(x, w);
    EXPECT_EQ(y.scalar_type(), at::kFloat);
    EXPECT_LE(difference(y, want), 1e-5 * magnitude(want));
  }
}

TEST_F(Gemm, OnlyTheNarrowedPassesRound) {
  const at::Tensor x = normal({41, 307}, 1, at::kFloat);
  const at::Tensor w = normal({307, 307}, 2, at::kFloat);
  const auto f64 = [](const at::Tensor& t) { return t.to(at::kDouble); };
  struct Case {
    const char* name;
    at::Tensor want;
    std::function<at::Tensor()> product;
    bool backward;
  };
  const std::vector<Case> cases{
      {"nt", at::mm(f64(x), f64(w).t()), [&] { return product_nt(x, w); }, false},
      {"nn", at::mm(f64(x), f64(w)), [&] { return product_nn(x, w); }, false},
      {"slope nn", at::mm(f64(x), f64(w)), [&] { return slope_product_nn(x, w); }, true},
      {"slope tn", at::mm(f64(x).t(), f64(x)), [&] { return slope_product_tn(x, x); }, true}};
  for (const Case& one : cases) {
    for (const Narrow mode : {Narrow::kNone, Narrow::kBackward, Narrow::kAll}) {
      SCOPED_TRACE(fmt::format("{}, {}", one.name, static_cast<int>(mode)));
      set_narrow_products(mode);
      const at::Tensor y = one.product();
      EXPECT_EQ(y.scalar_type(), at::kFloat);
      const double off = difference(y, one.want) / magnitude(one.want);
      const bool rounds = mode == Narrow::kAll || (mode == Narrow::kBackward && one.backward);
      EXPECT_LT(off, rounds ? 2e-2 : 1e-5);
      EXPECT_GT(off, rounds ? 1e-4 : -1.0);
    }
  }
}

TEST_F(Gemm, SmallWeightsAndF64AreNeverNarrowed) {
  set_narrow_products(Narrow::kAll);
  for (const auto& [width, dtype] : {std::pair{211, at::kFloat}, std::pair{307, at::kDouble}}) {
    const at::Tensor x = normal({41, width}, 1, dtype);
    const at::Tensor w = normal({width, width}, 2, dtype);
    const at::Tensor want = at::mm(x.to(at::kDouble), w.to(at::kDouble).t());
    EXPECT_LE(difference(product_nt(x, w), want), 1e-5 * magnitude(want));
  }
}

TEST_F(Gemm, APrecisionNarrowsOnlyWhereThatIsFaster) {
  const GemmChoice quick{.kernel = GemmKernel::kOneDnn, .gflops = 100, .narrow_gflops = 150};
  const GemmChoice slow{.kernel = GemmKernel::kMkl, .gflops = 100, .narrow_gflops = 110};
  EXPECT_EQ(text_of(choose_products(quick, "auto")), "onednn, backward bf16");
  EXPECT_EQ(text_of(choose_products(quick, "bf16")), "onednn, bf16");
  EXPECT_EQ(text_of(choose_products(quick, "f32")), "onednn");
  for (const char* precision : {"auto", "bf16", "f32"}) {
    EXPECT_EQ(text_of(choose_products(slow, precision)), "mkl");
    const std::string text = text_of(choose_products(quick, precision));
    EXPECT_EQ(text_of(products_of(text)), text);
  }
  EXPECT_THAT(tests::error_of([] { products_of("onednn, backward"); }),
              testing::HasSubstr("no products"));
}

TEST_F(Gemm, AKernelIsFoundByItsName) {
  for (const GemmKernel kernel : {GemmKernel::kMkl, GemmKernel::kOneDnn}) {
    EXPECT_EQ(gemm_kernel_named(name(kernel)), kernel);
  }
  EXPECT_THAT(tests::error_of([] { gemm_kernel_named("onedn"); }),
              testing::HasSubstr("\"onednn\""));
}

TEST_F(Gemm, TheChoiceIsMeasured) {
  const GemmChoice choice = choose_gemm_kernel(64, 128, 96);
  EXPECT_GT(choice.gflops, 0.01);
  EXPECT_LT(choice.gflops, 1e5);
  EXPECT_EQ(gemm_kernel(), before_) << "measuring must not set the kernel";
}

// Column-major C[m, n] = alpha op(A) op(B) + beta C against a triple loop.
template <class T>
void expect_blas(Side a_side, Side b_side) {
  constexpr int64_t m = 5, n = 3, k = 7, lda = 11, ldb = 13, ldc = 6;
  const auto dtype = std::is_same_v<T, float> ? at::kFloat : at::kDouble;
  const at::Tensor a = normal({11, lda}, 1, dtype);
  const at::Tensor b = normal({11, ldb}, 2, dtype);
  at::Tensor c = normal({n, ldc}, 3, dtype);
  const std::vector<double> before = tests::numbers(c);
  const auto A = [&](int64_t i, int64_t j) {  // element of op(A)
    const int64_t at = a_side == Side::kPlain ? j * lda + i : i * lda + j;
    return static_cast<double>(a.const_data_ptr<T>()[at]);
  };
  const auto B = [&](int64_t i, int64_t j) {
    const int64_t at = b_side == Side::kPlain ? j * ldb + i : i * ldb + j;
    return static_cast<double>(b.const_data_ptr<T>()[at]);
  };
  gemm<T>(a_side,
          b_side,
          m,
          n,
          k,
          T(2),
          a.const_data_ptr<T>(),
          lda,
          b.const_data_ptr<T>(),
          ldb,
          T(0.5),
          c.data_ptr<T>(),
          ldc);
  const std::vector<double> after = tests::numbers(c);
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = 0; i < ldc; ++i) {
      const auto at = static_cast<size_t>(j * ldc + i);
      double want = before[at];  // beyond m nothing is touched
      if (i < m) {
        want *= 0.5;
        for (int64_t l = 0; l < k; ++l) {
          want += 2 * A(i, l) * B(l, j);
        }
      }
      EXPECT_NEAR(after[at], want, (std::is_same_v<T, float> ? 1e-5 : 1e-13));
    }
  }
}

TEST(Blas, ReadsEachSideAsItIsTold) {
  for (const Side a : {Side::kPlain, Side::kTransposed}) {
    for (const Side b : {Side::kPlain, Side::kTransposed}) {
      expect_blas<float>(a, b);
      expect_blas<double>(a, b);
    }
  }
}

}  // namespace
}  // namespace attune::tensor
