#include "attune/tensor/turned_product.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/mm.h>

#include "attune/tensor/tiles.h"

#include "tests/tensor/golden.h"

namespace attune::tensor {
namespace {

using tests::difference;
using tests::magnitude;
using tests::normal;
using tests::same_bits;

template <class T>
at::Tensor run(const at::Tensor& g_MO, const at::Tensor& x_MI, bool narrow, at::Tensor to_OI) {
  add_turned_product<T>({.M = g_MO.size(0),
                         .O = g_MO.size(1),
                         .I = x_MI.size(1),
                         .g = g_MO.const_data_ptr<T>(),
                         .g_stride = g_MO.stride(0),
                         .x = x_MI.const_data_ptr<T>(),
                         .x_stride = x_MI.stride(0),
                         .to = to_OI.data_ptr<T>(),
                         .to_stride = to_OI.stride(0),
                         .narrow = narrow});
  return to_OI;
}

// Fewer than a block that is turned, one, several with a rest, more than a slice; one row, odd and
// even numbers of rows.
class TurnedProduct : public testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t>> {
 protected:
  int64_t M_ = std::get<0>(GetParam());
  int64_t O_ = std::get<1>(GetParam());
  int64_t I_ = std::get<2>(GetParam());
  at::Tensor g_MO_ = normal({M_, O_ + 3}, 1).narrow(1, 1, O_);
  at::Tensor x_MI_ = normal({M_, I_ + 5}, 2).narrow(1, 2, I_);
  at::Tensor start_OI_ = normal({O_, I_}, 3);
  at::Tensor want_ = start_OI_ + at::mm(g_MO_.t(), x_MI_);
};

INSTANTIATE_TEST_SUITE_P(Shapes,
                         TurnedProduct,
                         testing::Combine(testing::Values<int64_t>(1, 2, 31, 149, 256, 587),
                                          testing::Values<int64_t>(7, 16, 53, 1031),
                                          testing::Values<int64_t>(5, 97)));

TEST_P(TurnedProduct, AddsThePlainProductInF64) {
  EXPECT_LE(difference(run<double>(g_MO_, x_MI_, false, start_OI_.clone()), want_),
            1e-13 * magnitude(want_));
}

TEST_P(TurnedProduct, AddsThePlainProductInF32) {
  const at::Tensor ours =
      run<float>(g_MO_.to(at::kFloat), x_MI_.to(at::kFloat), false, start_OI_.to(at::kFloat));
  EXPECT_LE(difference(ours, want_), 1e-6 * magnitude(want_));
}

TEST_P(TurnedProduct, OfRoundedNumbersHasSumsInF32) {
  if (!tiles_take_bf16()) {
    GTEST_SKIP() << "this machine has no bf16 products";
  }
  const at::Tensor g_MO = g_MO_.to(at::kBFloat16).to(at::kFloat);
  const at::Tensor x_MI = x_MI_.to(at::kBFloat16).to(at::kFloat);
  const at::Tensor want = start_OI_ + at::mm(g_MO.to(at::kDouble).t(), x_MI.to(at::kDouble));
  const at::Tensor ours = run<float>(g_MO, x_MI, true, start_OI_.to(at::kFloat));
  EXPECT_LE(difference(ours, want), 1e-6 * magnitude(want));
}

TEST(TurnedProduct, OfNoRowsAddsNothing) {
  const at::Tensor start_OI = normal({53, 97}, 3, at::kFloat);
  run<float>(
      normal({31, 53}, 1, at::kFloat), normal({31, 97}, 2, at::kFloat), false, start_OI.clone());
  for (const bool narrow : {false, true}) {
    EXPECT_TRUE(same_bits(run<float>(normal({0, 53}, 1, at::kFloat),
                                     normal({0, 97}, 2, at::kFloat),
                                     narrow,
                                     start_OI.clone()),
                          start_OI));
  }
}

TEST(TurnedProduct, TheNumberOfThreadsChangesNoBit) {
  const at::Tensor g_MO = normal({61, 1031}, 1, at::kFloat);
  const at::Tensor x_MI = normal({61, 97}, 2, at::kFloat);
  const auto on = [&](int threads) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    const at::Tensor sum = run<float>(g_MO, x_MI, false, normal({1031, 97}, 3, at::kFloat));
    at::set_num_threads(before);
    return sum;
  };
  EXPECT_TRUE(same_bits(on(1), on(2)));
  EXPECT_TRUE(same_bits(on(1), on(7)));
}

}  // namespace
}  // namespace attune::tensor
