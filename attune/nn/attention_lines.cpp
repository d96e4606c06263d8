#include "attune/nn/attention_lines.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "attune/core/clones.h"
#include "attune/nn/exp.h"

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
