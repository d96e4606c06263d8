#include "attune/adapter/dropout.h"

#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>

#include "tests/tensor/golden.h"

namespace attune::adapter {
namespace {

using tests::numbers;

at::Tensor keys(const std::vector<int64_t>& values) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.data_ptr<int64_t>());
  return tensor;
}

at::Tensor ones(int64_t N, int64_t I, at::ScalarType dtype = at::kFloat) {
  return at::empty({N, I}, at::TensorOptions().dtype(dtype)).fill_(1);
}

TEST(KeyedDropout, KeepsTheMean) {
  // 1,024 rows of 1,024: the share that is dropped has a standard error of sqrt(p (1-p)) / 1024.
  std::vector<int64_t> row_keys(1024);
  for (size_t i = 0; i < row_keys.size(); ++i) {
    row_keys[i] = static_cast<int64_t>(i);
  }
  for (const double p : {0.05, 0.3, 0.9}) {
    SCOPED_TRACE(p);
    const auto y = numbers(keyed_dropout(ones(1024, 1024), keys(row_keys), 7, p));
    double dropped = 0;
    double sum = 0;
    for (const double x : y) {
      EXPECT_TRUE(x == 0 || std::abs(x - 1 / (1 - p)) < 1e-3 / (1 - p));
      dropped += x == 0 ? 1 : 0;
      sum += x;
    }
    const double count = 1024.0 * 1024.0;
    EXPECT_NEAR(dropped / count, p, 5 * std::sqrt(p * (1 - p)) / 1024);
    EXPECT_NEAR(sum / count, 1, 5 * std::sqrt(p / (1 - p)) / 1024);
  }
}

TEST(KeyedDropout, TheMaskBelongsToTheRowsKey) {
  const at::Tensor x = tests::normal({3, 61}, 1);
  const at::Tensor y = keyed_dropout(x, keys({11, 13, 17}), 7, 0.5);
  // The same rows elsewhere, among others.
  at::Tensor other = tests::normal({5, 61}, 2);
  other.select(0, 4).copy_(x.select(0, 0));
  other.select(0, 1).copy_(x.select(0, 2));
  const at::Tensor z = keyed_dropout(other, keys({1, 17, 2, 3, 11}), 7, 0.5);
  EXPECT_TRUE(tests::same_bits(z.select(0, 4), y.select(0, 0)));
  EXPECT_TRUE(tests::same_bits(z.select(0, 1), y.select(0, 2)));
  // Another key, another mask; the same row key twice, the same mask twice.
  EXPECT_GT(tests::difference(keyed_dropout(x, keys({11, 13, 17}), 8, 0.5), y), 0.1);
  const at::Tensor twice = keyed_dropout(ones(2, 61), keys({5, 5}), 7, 0.5);
  EXPECT_TRUE(tests::same_bits(twice.select(0, 0), twice.select(0, 1)));
}

TEST(KeyedDropout, RowsAndColumnsAreIndependent) {
  // Of two rows, two columns and two keys each: the share of equal decisions is 1/2 within
  // 5 standard errors of 1 / (2 sqrt(4096)).
  const auto mask = [](int64_t row, uint64_t key) {
    return numbers(keyed_dropout(ones(1, 4096), keys({row}), key, 0.5));
  };
  const auto agree = [](const std::vector<double>& a, const std::vector<double>& b, size_t shift) {
    double same = 0;
    for (size_t i = 0; i + shift < a.size(); ++i) {
      same += (a[i] == 0) == (b[i + shift] == 0) ? 1 : 0;
    }
    return same / static_cast<double>(a.size() - shift);
  };
  const double slack = 5.0 / (2 * 64);
  EXPECT_NEAR(agree(mask(1, 7), mask(2, 7), 0), 0.5, slack);
  EXPECT_NEAR(agree(mask(1, 7), mask(1, 8), 0), 0.5, slack);
  for (const size_t shift : {1U, 2U, 3U, 4U}) {
    EXPECT_NEAR(agree(mask(1, 7), mask(1, 7), shift), 0.5, slack);
  }
}

TEST(KeyedDropout, PrecisionThreadsAndRestChangeNoMask) {
  const auto row_keys =
      keys({11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79});
  // 63 columns: the last four-lane word is cut short.
  const at::Tensor narrow = keyed_dropout(ones(18, 63), row_keys, 7, 0.3);
  const at::Tensor wide = keyed_dropout(ones(18, 63, at::kDouble), row_keys, 7, 0.3);
  EXPECT_LE(tests::difference(narrow, wide), 1e-6);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = keyed_dropout(ones(18, 63), row_keys, 7, 0.3);
  at::set_num_threads(before);
  EXPECT_TRUE(tests::same_bits(one, narrow));
}

TEST(KeyedDropout, NoProbabilityIsTheInputItself) {
  const at::Tensor x = tests::normal({3, 61}, 1);
  EXPECT_TRUE(keyed_dropout(x, {}, 7, 0).is_same(x));
  EXPECT_THROW(keyed_dropout(x, {}, 7, 0.1), InternalError);
  EXPECT_THROW(keyed_dropout(x, keys({1}), 7, 0.1), InternalError);
}

}  // namespace
}  // namespace attune::adapter
