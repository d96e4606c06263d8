#include "attune/tensor/tiles.h"

#include <cmath>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>

#include "attune/core/error.h"

#include "tests/tensor/golden.h"

namespace attune::tensor {
namespace {

using tests::difference;
using tests::magnitude;
using tests::normal;

Rows rows_of(const at::Tensor& t) {
  return {.data = t.const_data_ptr(), .dtype = t.scalar_type(), .stride = t.stride(0)};
}

Summand summand(const at::Tensor& x_MK, const at::Tensor& w, bool transposed) {
  return {.x = rows_of(x_MK), .K = x_MK.size(1), .w = rows_of(w), .transposed = transposed};
}

// The products of a call as tensors; every number is stored once.
template <class T>
std::vector<at::Tensor> run(int64_t M, int64_t N, const std::vector<std::vector<Summand>>& sums) {
  std::vector<at::Tensor> results;
  for (size_t i = 0; i < sums.size(); ++i) {
    results.push_back(at::full({M, N}, 1e30, c10::CppTypeToScalarType<T>::value));
  }
  tile_product<T>(M, N, sums, [&](const Tile<T>& tile) {
    for (size_t i = 0; i < sums.size(); ++i) {
      for (int64_t r = 0; r < tile.rows; ++r) {
        for (int64_t c = 0; c < tile.columns; ++c) {
          T& to = results[i].data_ptr<T>()[(tile.row + r) * N + tile.column + c];
          EXPECT_EQ(to, static_cast<T>(1e30)) << "stored twice";
          to = tile.y[i][r * Tile<T>::kStride + c];
        }
      }
    }
  });
  return results;
}

// Fewer rows and columns than a tile, exactly one, and several with a rest.
class Tiles : public testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t>> {
 protected:
  int64_t M_ = std::get<0>(GetParam());
  int64_t N_ = std::get<1>(GetParam());
  int64_t K_ = std::get<2>(GetParam());
  at::Tensor x_MK_ = normal({M_, K_}, 1);
  at::Tensor w_NK_ = normal({N_, K_}, 2);
  at::Tensor w_KN_ = normal({K_, N_}, 3);
};
INSTANTIATE_TEST_SUITE_P(Shapes,
                         Tiles,
                         testing::Combine(testing::Values(1, 41, 64, 211),
                                          testing::Values(5, 48, 131),
                                          testing::Values(2, 37, 96)));

TEST_P(Tiles, EqualWholeProducts) {
  const at::Tensor nt = at::mm(x_MK_, w_NK_.t());
  const at::Tensor nn = at::mm(x_MK_, w_KN_);
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const at::Tensor x = x_MK_.to(dtype);
    const at::Tensor w = w_NK_.to(dtype);
    const at::Tensor v = w_KN_.to(dtype);
    const std::vector<std::vector<Summand>> sums{{summand(x, w, true)}, {summand(x, v, false)}};
    const auto results = dtype == at::kFloat ? run<float>(M_, N_, sums) : run<double>(M_, N_, sums);
    const double tolerance = dtype == at::kFloat ? 1e-5 : 1e-13;
    EXPECT_LE(difference(results[0], nt), tolerance * magnitude(nt));
    EXPECT_LE(difference(results[1], nn), tolerance * magnitude(nn));
  }
}

TEST_P(Tiles, AddUpSummandsOfAnyKind) {
  const at::Tensor thin_MR = normal({M_, 3}, 4, at::kFloat);
  const at::Tensor thin_NR = normal({N_, 3}, 5, at::kFloat);
  const at::Tensor x = x_MK_.to(at::kFloat);
  const at::Tensor w = w_NK_.to(at::kBFloat16);  // stored narrow, computed wide
  const at::Tensor want = at::mm(x_MK_, w.to(at::kDouble).t()) +
                          at::mm(thin_MR.to(at::kDouble), thin_NR.to(at::kDouble).t());
  const auto sum = run<float>(M_, N_, {{summand(x, w, true), summand(thin_MR, thin_NR, true)}})[0];
  EXPECT_LE(difference(sum, want), 1e-5 * magnitude(want));
}

TEST_P(Tiles, OfBf16NumbersSumInF32) {
  if (!tiles_take_bf16()) {
    GTEST_SKIP() << "this machine's kernels take no bf16";
  }
  if (K_ % 2 != 0) {
    const at::Tensor x = x_MK_.to(at::kBFloat16);
    const at::Tensor w = w_NK_.to(at::kFloat);
    EXPECT_THROW(run<float>(M_, N_, {{summand(x, w, true)}}), InternalError);
    return;
  }
  const at::Tensor x = x_MK_.to(at::kBFloat16);
  const auto rounded = [](const at::Tensor& t) { return t.to(at::kBFloat16).to(at::kDouble); };
  const at::Tensor nt = at::mm(rounded(x), rounded(w_NK_.to(at::kFloat)).t());
  const at::Tensor nn = at::mm(rounded(x), rounded(w_KN_.to(at::kFloat)));
  const at::Tensor w = w_NK_.to(at::kFloat);
  const at::Tensor v = w_KN_.to(at::kFloat);
  const at::Tensor narrow_w = w.to(at::kBFloat16);
  const at::Tensor narrow_v = v.to(at::kBFloat16);
  for (const auto& [a, b] : {std::pair{w, v}, std::pair{narrow_w, narrow_v}}) {
    const auto results = run<float>(M_, N_, {{summand(x, a, true)}, {summand(x, b, false)}});
    EXPECT_LE(difference(results[0], nt), 1e-5 * magnitude(nt));
    EXPECT_LE(difference(results[1], nn), 1e-5 * magnitude(nn));
  }
}

TEST_P(Tiles, DoNotDependOnThreadsNorOnOtherRows) {
  const at::Tensor x = x_MK_.to(at::kFloat);
  const at::Tensor w = w_NK_.to(at::kFloat);
  const int threads = at::get_num_threads();
  const at::Tensor all = run<float>(M_, N_, {{summand(x, w, true)}})[0];
  at::set_num_threads(1);
  const at::Tensor alone = run<float>(M_, N_, {{summand(x, w, true)}})[0];
  at::set_num_threads(threads);
  EXPECT_TRUE(tests::same_bits(all, alone));
  const int64_t some = (M_ + 1) / 2;
  const at::Tensor first = run<float>(some, N_, {{summand(x, w, true)}})[0];
  EXPECT_TRUE(tests::same_bits(all.narrow(0, 0, some), first));
}

TEST(NarrowNumbers, NotANumberStaysOne) {
  if (!tiles_take_bf16()) {
    GTEST_SKIP() << "this machine's kernels take no bf16";
  }
  const at::Tensor x = normal({5, 4}, 1).to(at::kBFloat16);
  at::Tensor w = normal({7, 4}, 2, at::kFloat);
  w.data_ptr<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor y = run<float>(5, 7, {{summand(x, w, true)}})[0];
  for (int64_t r = 0; r < 5; ++r) {
    EXPECT_TRUE(std::isnan(y.data_ptr<float>()[r * 7]));
    EXPECT_FALSE(std::isnan(y.data_ptr<float>()[r * 7 + 1]));
  }
}

TEST(TilesRate, IsMeasured) {
  EXPECT_GT(measure_tiles(64, 128, 96, at::kFloat), 0.01);
  EXPECT_EQ(measure_tiles(64, 127, 96, at::kBFloat16), 0) << "an odd width has no pairs";
}

}  // namespace
}  // namespace attune::tensor
