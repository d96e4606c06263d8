// The scores of a block of queries, row by row, as attention by panels keeps them.
#pragma once

#include <cstdint>
#include <span>

namespace attune::nn {

/// Tokens of a panel, and numbers from one row of it to the next.
inline constexpr int64_t kPanelTokens = 64;

/// to[64][stride] = from[64][64]^T
void turn_square(const float* from, float* to, int64_t stride);

float dot(const float* a, const float* b, int64_t count);
/// to = factor x
void put_scaled(const float* x, float factor, int64_t count, float* to);
/// to += x
void add(const float* x, int64_t count, float* to);

/// x [rows][width], rows even, rounded to bf16 with its rows in pairs: to[row / 2][width][2].
void pack_pairs(const float* x, int64_t rows, int64_t width, uint16_t* to);

/// x [rows][64], rows a multiple of 16, rounded to bf16: `plain` as it is, turned[64][stride] =
/// x^T.
void narrow_panel(const float* x, int64_t rows, int64_t stride, uint16_t* plain, uint16_t* turned);

/// Scores over the keys of one panel. The row of query r sees the first min(keys, r + 1 - first) of
/// them, none if that is below 0; `width` numbers stand there, a multiple of 16.
struct ScorePiece {
  int64_t offset = 0;  ///< Of row 0.
  int64_t first = 0;   ///< The first query that sees a key; far below 0 where all see all.
  int64_t keys = 0;
  int64_t width = 0;
};

/// Turns scores into weights: softmax of what each row sees, still to be multiplied by the row's
/// share, and 0 elsewhere. Rows are those of `heads` heads, `queries` each, one after the other.
/// @param lse  of each row, the log-sum-exp of its scores.
void softmax_rows(std::span<const ScorePiece> pieces,
                  int64_t heads,
                  int64_t queries,
                  float* scores,
                  float* lse,
                  float* shares);

/// The weights with lse known, and the slopes of the scores: ds = p (dp - own), where dp stands in
/// `slopes` at first and own is a number of each row.
void softmax_slope_rows(std::span<const ScorePiece> pieces,
                        int64_t heads,
                        int64_t queries,
                        const float* lse,
                        const float* own,
                        float* scores,
                        float* slopes);

}  // namespace attune::nn
