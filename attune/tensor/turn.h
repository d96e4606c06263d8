// Turning a block of a matrix in registers, in a form that compilers make vectors of.
#pragma once

#include <cstdint>

namespace attune::tensor {

/// Side of a block.
inline constexpr int64_t kTurnSide = 16;

using TurnLine =
    float __attribute__((vector_size(kTurnSide * sizeof(float)), aligned(4), may_alias));
using TurnPlaces = int32_t __attribute__((vector_size(kTurnSide * sizeof(int32_t))));

/// to[j step + i] = from[i stride + j] for 16 x 16 numbers: four times, lines that are 8, 4, 2, 1
/// apart exchange halves, quarters, eighths, numbers.
[[gnu::always_inline]] inline void turn(const float* from,
                                        int64_t stride,
                                        float* to,
                                        int64_t step) {
  TurnLine a[kTurnSide];
  TurnLine b[kTurnSide];
  for (int64_t i = 0; i < kTurnSide; ++i) {
    a[i] = *reinterpret_cast<const TurnLine*>(from + i * stride);
  }
  for (int64_t i = 0; i < 8; ++i) {
    constexpr TurnPlaces kLow{0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23};
    constexpr TurnPlaces kHigh{8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31};
    b[i] = __builtin_shuffle(a[i], a[i + 8], kLow);
    b[i + 8] = __builtin_shuffle(a[i], a[i + 8], kHigh);
  }
  for (int64_t i = 0; i < kTurnSide; i += 8) {
    for (int64_t j = i; j < i + 4; ++j) {
      constexpr TurnPlaces kLow{0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27};
      constexpr TurnPlaces kHigh{4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31};
      a[j] = __builtin_shuffle(b[j], b[j + 4], kLow);
      a[j + 4] = __builtin_shuffle(b[j], b[j + 4], kHigh);
    }
  }
  for (int64_t i = 0; i < kTurnSide; i += 4) {
    for (int64_t j = i; j < i + 2; ++j) {
      constexpr TurnPlaces kLow{0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29};
      constexpr TurnPlaces kHigh{2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31};
      b[j] = __builtin_shuffle(a[j], a[j + 2], kLow);
      b[j + 2] = __builtin_shuffle(a[j], a[j + 2], kHigh);
    }
  }
  for (int64_t i = 0; i < kTurnSide; i += 2) {
    constexpr TurnPlaces kLow{0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30};
    constexpr TurnPlaces kHigh{1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31};
    *reinterpret_cast<TurnLine*>(to + i * step) = __builtin_shuffle(b[i], b[i + 1], kLow);
    *reinterpret_cast<TurnLine*>(to + (i + 1) * step) = __builtin_shuffle(b[i], b[i + 1], kHigh);
  }
}

}  // namespace attune::tensor
