#include "attune/nn/attention_lines.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "attune/core/clones.h"
#include "attune/nn/exp.h"
#include "attune/tensor/narrow.h"
#include "attune/tensor/turn.h"

namespace attune::nn {
namespace {

constexpr int64_t kVector = 16;
constexpr float kNever = -std::numeric_limits<float>::infinity();

// What query r does not see becomes a score whose weight is 0, so that rows have no odd ends.
[[gnu::always_inline]] inline float* hide(const ScorePiece& piece,
                                          int64_t r,
                                          int64_t row,
                                          float* scores) {
  float* const line = scores + piece.offset + row * kPanelTokens;
  const int64_t seen = std::clamp<int64_t>(r + 1 - piece.first, 0, piece.keys);
  for (int64_t i = seen; i < piece.width; ++i) {
    line[i] = kNever;
  }
  return line;
}

}  // namespace

ATTUNE_CLONES void turn_square(const float* from, float* to, int64_t stride) {
  for (int64_t i = 0; i < kPanelTokens; i += tensor::kTurnSide) {
    for (int64_t j = 0; j < kPanelTokens; j += tensor::kTurnSide) {
      tensor::turn(from + i * kPanelTokens + j, kPanelTokens, to + j * stride + i, stride);
    }
  }
}

ATTUNE_CLONES float dot(const float* a, const float* b, int64_t count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

ATTUNE_CLONES void put_scaled(const float* x, float factor, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = factor * x[i];
  }
}

ATTUNE_CLONES void add(const float* x, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] += x[i];
  }
}

ATTUNE_CLONES void pack_pairs(const float* x, int64_t rows, int64_t width, uint16_t* to) {
  for (int64_t r = 0; r < rows; r += 2) {
    const float* const even = x + r * width;
    const float* const odd = even + width;
    for (int64_t i = 0; i < width; ++i) {
      to[r * width + 2 * i] = tensor::to_bf16(even[i]);
      to[r * width + 2 * i + 1] = tensor::to_bf16(odd[i]);
    }
  }
}

ATTUNE_CLONES void narrow_panel(
    const float* x, int64_t rows, int64_t stride, uint16_t* plain, uint16_t* turned) {
  constexpr int64_t kSide = tensor::kTurnSide;
  float block[kSide * kSide];
  for (int64_t i = 0; i < rows * kPanelTokens; ++i) {
    plain[i] = tensor::to_bf16(x[i]);
  }
  for (int64_t i = 0; i < rows; i += kSide) {
    for (int64_t j = 0; j < kPanelTokens; j += kSide) {
      tensor::turn(x + i * kPanelTokens + j, kPanelTokens, block, kSide);
      for (int64_t r = 0; r < kSide; ++r) {
        for (int64_t c = 0; c < kSide; ++c) {
          turned[(j + r) * stride + i + c] = tensor::to_bf16(block[r * kSide + c]);
        }
      }
    }
  }
}

ATTUNE_CLONES void softmax_rows(std::span<const ScorePiece> pieces,
                                int64_t heads,
                                int64_t queries,
                                float* scores,
                                float* lse,
                                float* shares) {
  for (int64_t row = 0; row < heads * queries; ++row) {
    float tops[kVector];
    std::fill_n(tops, kVector, kNever);
    for (const ScorePiece& piece : pieces) {
      const float* const line = hide(piece, row % queries, row, scores);
      for (int64_t i = 0; i < piece.width; i += kVector) {
        for (int64_t j = 0; j < kVector; ++j) {
          tops[j] = line[i + j] > tops[j] ? line[i + j] : tops[j];
        }
      }
    }
    const float top = *std::max_element(tops, tops + kVector);
    float sums[kVector] = {};
    for (const ScorePiece& piece : pieces) {
      float* const line = scores + piece.offset + row * kPanelTokens;
      for (int64_t i = 0; i < piece.width; i += kVector) {
        for (int64_t j = 0; j < kVector; ++j) {
          const float e = exp_of(line[i + j] - top);
          line[i + j] = e;
          sums[j] += e;
        }
      }
    }
    float sum = 0;
    for (const float part : sums) {
      sum += part;
    }
    shares[row] = 1.0F / sum;
    lse[row] = top + std::log(sum);
  }
}

ATTUNE_CLONES void softmax_slope_rows(std::span<const ScorePiece> pieces,
                                      int64_t heads,
                                      int64_t queries,
                                      const float* lse,
                                      const float* own,
                                      float* scores,
                                      float* slopes) {
  for (int64_t row = 0; row < heads * queries; ++row) {
    for (const ScorePiece& piece : pieces) {
      float* const line = hide(piece, row % queries, row, scores);
      float* const slope = slopes + piece.offset + row * kPanelTokens;
      for (int64_t i = 0; i < piece.width; i += kVector) {
        for (int64_t j = 0; j < kVector; ++j) {
          const float p = exp_of(line[i + j] - lse[row]);
          line[i + j] = p;
          slope[i + j] = p * (slope[i + j] - own[row]);
        }
      }
    }
  }
}

}  // namespace attune::nn
