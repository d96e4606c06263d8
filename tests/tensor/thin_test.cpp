#include "attune/tensor/thin.h"

#include <array>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>

#include "attune/core/error.h"

#include "tests/tensor/golden.h"

namespace attune::tensor {
namespace {

using tests::difference;
using tests::magnitude;
using tests::normal;
using tests::same_bits;

Rows rows_of(const at::Tensor& t) {
  return {.data = t.const_data_ptr(), .dtype = t.scalar_type(), .stride = t.stride(0)};
}

ThinProduct product(const at::Tensor& w_OI, const at::Tensor& y_MO) {
  return {
      .w = rows_of(w_OI), .O = w_OI.size(0), .y = y_MO.data_ptr<float>(), .stride = y_MO.stride(0)};
}

at::Tensor run(const at::Tensor& x_MI, const at::Tensor& w_OI) {
  const at::Tensor y_MO = at::full({x_MI.size(0), w_OI.size(0)}, 1e30, at::kFloat);
  thin_product(rows_of(x_MI), x_MI.size(0), x_MI.size(1), std::array{product(w_OI, y_MO)});
  return y_MO;
}

// Fewer and more rows and columns than a block takes, and sums shorter than a line and with a rest.
class Thin : public testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t, at::ScalarType>> {
 protected:
  at::Tensor x_MI_ = normal({std::get<0>(GetParam()), std::get<2>(GetParam())}, 1, at::kFloat);
  at::Tensor w_OI_ = normal({std::get<1>(GetParam()), std::get<2>(GetParam())}, 2, at::kFloat)
                         .to(std::get<3>(GetParam()));
};
INSTANTIATE_TEST_SUITE_P(Shapes,
                         Thin,
                         testing::Combine(testing::Values(1, 2, 3, 4, 13),
                                          testing::Values(1, 3, 8, 1031),
                                          testing::Values(2, 16, 37, 211),
                                          testing::Values(at::kFloat, at::kBFloat16)));

TEST_P(Thin, EqualsTheProductInF64) {
  const at::Tensor exact = at::mm(x_MI_.to(at::kDouble), w_OI_.to(at::kDouble).t());
  EXPECT_LE(difference(run(x_MI_, w_OI_), exact), 2e-6 * magnitude(exact) + 1e-6);
}

TEST_P(Thin, ARowDependsNeitherOnTheOthersNorOnTheThreads) {
  const at::Tensor together = run(x_MI_, w_OI_);
  const int threads = at::get_num_threads();
  at::set_num_threads(threads == 1 ? 3 : 1);
  for (int64_t m = 0; m < x_MI_.size(0); ++m) {
    EXPECT_TRUE(same_bits(run(x_MI_.narrow(0, m, 1), w_OI_), together.narrow(0, m, 1)));
  }
  at::set_num_threads(threads);
}

TEST(ThinProducts, ShareAnInputAddAndScale) {
  const at::Tensor x_MI = normal({5, 67}, 1, at::kFloat);
  const at::Tensor v_OI = normal({11, 67}, 2, at::kFloat);
  const at::Tensor w_OI = normal({131, 67}, 3, at::kFloat).to(at::kBFloat16);
  const at::Tensor y_MO = normal({5, 11}, 4, at::kFloat);
  const at::Tensor z_MO = at::full({5, 131}, 1e30, at::kFloat);
  const at::Tensor x = x_MI.to(at::kDouble);
  const at::Tensor y = y_MO.to(at::kDouble) + 0.75 * at::mm(x, v_OI.to(at::kDouble).t());
  const at::Tensor z = at::mm(x, w_OI.to(at::kDouble).t());
  std::array products{product(v_OI, y_MO), product(w_OI, z_MO)};
  products[0].add = true;
  products[0].factor = 0.75F;
  thin_product(rows_of(x_MI), 5, 67, products);
  EXPECT_LE(difference(y_MO, y), 2e-6 * magnitude(y));
  EXPECT_LE(difference(z_MO, z), 2e-6 * magnitude(z));
}

TEST(ThinProducts, ReadAndWriteRowsWithinLargerOnes) {
  const at::Tensor x_MI = normal({3, 101}, 1, at::kFloat);
  const at::Tensor w_OI = normal({7, 103}, 2, at::kFloat);
  const at::Tensor y_MO = at::full({3, 29}, 1e30, at::kFloat);
  const at::Tensor x = x_MI.narrow(1, 2, 89);
  const at::Tensor w = w_OI.narrow(1, 3, 89);
  thin_product(rows_of(x), 3, 89, std::array{product(w, y_MO.narrow(1, 5, 7))});
  const at::Tensor exact = at::mm(x.to(at::kDouble), w.to(at::kDouble).t());
  EXPECT_LE(difference(y_MO.narrow(1, 5, 7), exact), 2e-6 * magnitude(exact));
  EXPECT_EQ(difference(y_MO.narrow(1, 0, 5), at::full({3, 5}, 1e30, at::kFloat)), 0);
  EXPECT_EQ(difference(y_MO.narrow(1, 12, 17), at::full({3, 17}, 1e30, at::kFloat)), 0);
}

TEST(ThinProducts, KeepWhatIsNoNumber) {
  const at::Tensor x_MI = normal({2, 37}, 1, at::kFloat);
  x_MI.data_ptr<float>()[36] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor y_MO = run(x_MI, normal({5, 37}, 2, at::kFloat));
  EXPECT_TRUE(std::isnan(y_MO.const_data_ptr<float>()[4]));
  EXPECT_FALSE(std::isnan(y_MO.const_data_ptr<float>()[5]));
}

TEST(ThinProducts, RefuseOtherNumbers) {
  const at::Tensor x_MI = normal({2, 37}, 1, at::kFloat);
  EXPECT_THROW(run(x_MI, normal({5, 37}, 2, at::kDouble)), InternalError);
  EXPECT_THROW(run(x_MI.to(at::kDouble), normal({5, 37}, 2, at::kFloat)), InternalError);
}

}  // namespace
}  // namespace attune::tensor
