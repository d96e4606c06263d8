#include "attune/adapter/dropout.h"

#include <algorithm>
#include <cmath>

#include <ATen/Dispatch.h>
#include <ATen/ops/empty_like.h>

#include "attune/core/error.h"
#include "attune/core/random.h"
#include "attune/tensor/parallel.h"

namespace attune::adapter {
namespace {

constexpr int64_t kLanes = 4;  // four 16-bit draws from one word

uint32_t threshold_of(double probability) {
  return static_cast<uint32_t>(std::lround(probability * 65536));
}

template <class T>
void drop_row(T* x, int64_t count, uint64_t key, uint32_t threshold, T scale) {
  for (int64_t i = 0; i < count; i += kLanes) {
    uint64_t word = random_word(key, static_cast<uint64_t>(i / kLanes));
    const int64_t end = std::min(count, i + kLanes);
    for (int64_t j = i; j < end; ++j, word >>= 16) {
      x[j] = (word & 0xffffU) < threshold ? T(0) : x[j] * scale;
    }
  }
}

}  // namespace

template <class T>
void drop_rows(
    T* x, int64_t N, int64_t I, const int64_t* row_keys, uint64_t key, double probability) {
  const uint32_t threshold = threshold_of(probability);
  if (threshold == 0) {
    return;
  }
  const auto scale = static_cast<T>(65536.0 / (65536.0 - threshold));
  tensor::share_out(N, 16, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const uint64_t row_key = mix64(key ^ mix64(static_cast<uint64_t>(row_keys[n])));
      drop_row(x + n * I, I, row_key, threshold, scale);
    }
  });
}

template void drop_rows(float*, int64_t, int64_t, const int64_t*, uint64_t, double);
template void drop_rows(double*, int64_t, int64_t, const int64_t*, uint64_t, double);

at::Tensor keyed_dropout(const at::Tensor& x_NI,
                         const at::Tensor& row_keys_N,
                         uint64_t key,
                         double probability) {
  if (threshold_of(probability) == 0) {
    return x_NI;
  }
  ensure(row_keys_N.defined() && row_keys_N.size(0) == x_NI.size(0), "dropout without row keys");
  ensure(x_NI.is_cpu(), "dropout runs on the CPU only");
  const at::Tensor y_NI = x_NI.clone(at::MemoryFormat::Contiguous);
  AT_DISPATCH_FLOATING_TYPES(x_NI.scalar_type(), "keyed_dropout", [&] {
    drop_rows(y_NI.data_ptr<scalar_t>(),
              y_NI.size(0),
              y_NI.size(1),
              row_keys_N.const_data_ptr<int64_t>(),
              key,
              probability);
  });
  return y_NI;
}

}  // namespace attune::adapter
