#include "attune/tensor/thin.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "attune/core/error.h"
#include "attune/tensor/parallel.h"

namespace attune::tensor {
namespace {

// Rows of x that a block of the weight meets at once.
constexpr int64_t kGroup = 4;
// How far ahead weights are asked for: a core alone keeps too few lines under way.
constexpr int64_t kAheadBytes = 8192;
// Fewer multiplications than these are not worth handing out.
constexpr int64_t kNumbersPerTask = 32768;

// Lines of numbers as long as a register; written out, since the attribute takes no parameter.
template <int kLanes>
struct Lines;
#define ATTUNE_LINES(n)                                                                            \
  template <>                                                                                      \
  struct Lines<n> {                                                                                \
    using Wide = float __attribute__((vector_size((n) * sizeof(float))));                          \
    using Loaded = float __attribute__((vector_size((n) * sizeof(float)), aligned(4), may_alias)); \
    using Bits = uint32_t __attribute__((vector_size((n) * sizeof(uint32_t))));                    \
    using Narrow =                                                                                 \
        uint16_t __attribute__((vector_size((n) * sizeof(uint16_t)), aligned(2), may_alias));      \
  }
ATTUNE_LINES(16);
ATTUNE_LINES(8);
ATTUNE_LINES(4);
#undef ATTUNE_LINES

// y = line at p, widened.
template <int kLanes>
[[gnu::always_inline]] inline void load(const float* p, typename Lines<kLanes>::Wide& y) {
  y = *reinterpret_cast<const typename Lines<kLanes>::Loaded*>(p);
}
template <int kLanes>
[[gnu::always_inline]] inline void load(const uint16_t* p, typename Lines<kLanes>::Wide& y) {
  using Bits = typename Lines<kLanes>::Bits;
  const auto narrow = *reinterpret_cast<const typename Lines<kLanes>::Narrow*>(p);
  y = reinterpret_cast<typename Lines<kLanes>::Wide>(__builtin_convertvector(narrow, Bits) << 16);
}

// Where line i's number (bit `half` of the place is 0) or line i + half's comes from.
template <int kLanes, int half, int... places>
[[gnu::always_inline]] inline void fold(typename Lines<kLanes>::Wide* a,
                                        std::integer_sequence<int, places...> all) {
  using Bits = typename Lines<kLanes>::Bits;
  constexpr Bits kLow{static_cast<uint32_t>((places & ~half) + ((places & half) ? kLanes : 0))...};
  constexpr Bits kHigh{static_cast<uint32_t>((places | half) + ((places & half) ? kLanes : 0))...};
#pragma GCC unroll 8
  for (int i = 0; i < half; ++i) {
    a[i] = __builtin_shuffle(a[i], a[i + half], kLow) + __builtin_shuffle(a[i], a[i + half], kHigh);
  }
  if constexpr (half > 1) {
    fold<kLanes, half / 2>(a, all);
  }
}

// kLanes / kGroup rows of w times C rows of x: out[r * kGroup + c].
template <int kLanes, int C, class W>
[[gnu::always_inline]] inline void block(
    const float* x, int64_t x_stride, const W* const* rows, int64_t I, float* out) {
  using Wide = typename Lines<kLanes>::Wide;
  constexpr int kRows = kLanes / kGroup;
  Wide sums[kLanes] = {};
  const W* w[kRows];
  for (int r = 0; r < kRows; ++r) {
    w[r] = rows[r];
  }
  int64_t k = 0;
  for (; k + kLanes <= I; k += kLanes) {
    Wide from_w[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      load<kLanes>(w[r] + k, from_w[r]);
      __builtin_prefetch(reinterpret_cast<const char*>(w[r] + k) + kAheadBytes);
    }
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
      Wide from_x;
      load<kLanes>(x + c * x_stride + k, from_x);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        sums[r * kGroup + c] += from_w[r] * from_x;
      }
    }
  }
  if (k < I) {
    const auto rest = static_cast<size_t>(I - k);
    for (int r = 0; r < kRows; ++r) {
      std::array<W, kLanes> padded_w{};
      std::memcpy(padded_w.data(), w[r] + k, rest * sizeof(W));
      Wide from_w;
      load<kLanes>(padded_w.data(), from_w);
      for (int c = 0; c < C; ++c) {
        std::array<float, kLanes> padded_x{};
        std::memcpy(padded_x.data(), x + c * x_stride + k, rest * sizeof(float));
        Wide from_x;
        load<kLanes>(padded_x.data(), from_x);
        sums[r * kGroup + c] += from_w * from_x;
      }
    }
  }
  fold<kLanes, kLanes / 2>(sums, std::make_integer_sequence<int, kLanes>());
  *reinterpret_cast<typename Lines<kLanes>::Loaded*>(out) = sums[0];
}

// What a thread does of one product: rows [begin, end) of w.
struct Part {
  const float* x = nullptr;
  int64_t x_stride = 0;
  int64_t M = 0;
  int64_t I = 0;
  const ThinProduct* product = nullptr;
  int64_t begin = 0;
  int64_t end = 0;
};

template <int kLanes, class W>
[[gnu::always_inline]] inline void run_part(const Part& part) {
  constexpr int kRows = kLanes / kGroup;
  const ThinProduct& p = *part.product;
  const auto* const weights = static_cast<const W*>(p.w.data);
  for (int64_t o = part.begin; o < part.end; o += kRows) {
    const int64_t rows = std::min<int64_t>(kRows, part.end - o);
    const W* w[kRows];
    for (int64_t r = 0; r < kRows; ++r) {
      w[r] = weights + (o + std::min(r, rows - 1)) * p.w.stride;  // one too many is not stored
    }
    for (int64_t m = 0; m < part.M; m += kGroup) {
      const float* const x = part.x + m * part.x_stride;
      const int64_t C = std::min(kGroup, part.M - m);
      float sums[kLanes];
      switch (C) {
        case 1:
          block<kLanes, 1>(x, part.x_stride, w, part.I, sums);
          break;
        case 2:
          block<kLanes, 2>(x, part.x_stride, w, part.I, sums);
          break;
        case 3:
          block<kLanes, 3>(x, part.x_stride, w, part.I, sums);
          break;
        default:
          block<kLanes, 4>(x, part.x_stride, w, part.I, sums);
      }
      for (int64_t c = 0; c < C; ++c) {
        float* const y = p.y + (m + c) * p.stride + o;
        for (int64_t r = 0; r < rows; ++r) {
          const float value = p.factor * sums[r * kGroup + c];
          y[r] = p.add ? y[r] + value : value;
        }
      }
    }
  }
}

template <int kLanes>
[[gnu::always_inline]] inline void run_typed(const Part& part) {
  if (part.product->w.dtype == at::kBFloat16) {
    run_part<kLanes, uint16_t>(part);
  } else {
    run_part<kLanes, float>(part);
  }
}

// One body for AVX-512, AVX2 and the baseline; each with lines as long as its registers.
#define ATTUNE_FOR(arch) __attribute__((target("arch=" arch), optimize("O3")))
ATTUNE_FOR("x86-64-v4") void run_v4(const Part& part) {
  run_typed<16>(part);
}
ATTUNE_FOR("x86-64-v3") void run_v3(const Part& part) {
  run_typed<8>(part);
}
__attribute__((optimize("O3"))) void run_plain(const Part& part) {
  run_typed<4>(part);
}
#undef ATTUNE_FOR

using Run = void (*)(const Part&);
Run fastest() {
  return __builtin_cpu_supports("x86-64-v4")   ? run_v4
         : __builtin_cpu_supports("x86-64-v3") ? run_v3
                                               : run_plain;
}

// Rows of weights that are handed out together, whole blocks of them.
int64_t grain_of(int64_t M, int64_t I) {
  constexpr int64_t kRows = 16;
  return (kNumbersPerTask / (I * (M + 1)) + kRows) / kRows * kRows;
}

}  // namespace

void thin_product(
    const Rows& x_MI, int64_t M, int64_t I, std::span<const ThinProduct> products, bool alone) {
  static const Run run = fastest();
  ensure(x_MI.dtype == at::kFloat && I > 0, "thin_product: x is {}", at::toString(x_MI.dtype));
  int64_t rows = 0;
  for (const ThinProduct& p : products) {
    ensure(p.w.dtype == at::kFloat || p.w.dtype == at::kBFloat16,
           "thin_product: a weight is {}",
           at::toString(p.w.dtype));
    rows += p.O;
  }
  const auto share = [&](int64_t begin, int64_t end) {
    int64_t first = 0;  // of this product, among the rows of all
    for (const ThinProduct& p : products) {
      const Part part{.x = static_cast<const float*>(x_MI.data),
                      .x_stride = x_MI.stride,
                      .M = M,
                      .I = I,
                      .product = &p,
                      .begin = std::max<int64_t>(0, begin - first),
                      .end = std::min(p.O, end - first)};
      if (part.begin < part.end) {
        run(part);
      }
      first += p.O;
    }
  };
  if (alone) {
    share(0, rows);
  } else {
    share_out(rows, grain_of(M, I), share);
  }
}

}  // namespace attune::tensor
