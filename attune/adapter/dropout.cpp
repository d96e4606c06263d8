#include "attune/adapter/dropout.h"

#include <algorithm>
#include <cmath>

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include "attune/core/error.h"
#include "attune/core/random.h"

namespace attune::adapter {
namespace {

constexpr int64_t kLanes = 4;  // four 16-bit draws from one word

template <class T>
void drop_row(const T* x, int64_t count, uint64_t key, uint32_t threshold, T scale, T* y) {
  for (int64_t i = 0; i < count; i += kLanes) {
    uint64_t word = random_word(key, static_cast<uint64_t>(i / kLanes));
    const int64_t end = std::min(count, i + kLanes);
    for (int64_t j = i; j < end; ++j, word >>= 16) {
      y[j] = (word & 0xffffU) < threshold ? T(0) : x[j] * scale;
    }
  }
}

}  // namespace

at::Tensor keyed_dropout(const at::Tensor& x_NI,
                         const at::Tensor& row_keys_N,
                         uint64_t key,
                         double probability) {
  const auto threshold = static_cast<uint32_t>(std::lround(probability * 65536));
  if (threshold == 0) {
    return x_NI;
  }
  ensure(row_keys_N.defined() && row_keys_N.size(0) == x_NI.size(0), "dropout without row keys");
  ensure(x_NI.is_cpu(), "dropout runs on the CPU only");
  const at::Tensor y_NI = at::empty_like(x_NI);
  const int64_t N = x_NI.size(0);
  const int64_t I = x_NI.size(1);
  const auto* keys = row_keys_N.const_data_ptr<int64_t>();
  AT_DISPATCH_FLOATING_TYPES(x_NI.scalar_type(), "keyed_dropout", [&] {
    const auto* x = x_NI.const_data_ptr<scalar_t>();
    auto* y = y_NI.data_ptr<scalar_t>();
    const auto scale = static_cast<scalar_t>(65536.0 / (65536.0 - threshold));
    at::parallel_for(0, N, 16, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        const uint64_t row_key = mix64(key ^ mix64(static_cast<uint64_t>(keys[n])));
        drop_row(x + n * I, I, row_key, threshold, scale, y + n * I);
      }
    });
  });
  return y_NI;
}

}  // namespace attune::adapter
