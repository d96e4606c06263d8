#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "attune/model/decoder.h"

namespace attune::generate {

/// Attention over a growing cache of keys and values, one per sequence. The rows of a pass belong
/// to the sequences that begin() names, in that order; each row sees its sequence's cache and the
/// new rows before it. What a row gets does not depend on the other sequences.
class CachedAttention : public model::Attention {
 public:
  /// A sequence with more new rows than these goes through nn::attend_tree; the others row by row
  /// through nn::attend_caches.
  static constexpr int64_t kFewRows = 32;

  /// Room for `num_sequences` sequences; each cache grows as needed.
  CachedAttention(const model::DecoderShape& shape, int64_t num_sequences);

  /// New rows of one sequence in the next pass.
  struct Rows {
    int64_t sequence = 0;
    int64_t count = 0;
  };
  /// Says whose rows the next pass holds. Their positions go on from length().
  void begin(std::vector<Rows> rows);
  /// The pass is over: its rows now belong to the caches.
  void end();

  [[nodiscard]] int64_t num_sequences() const {
    return static_cast<int64_t>(caches_.size());
  }
  /// Tokens in the cache of one sequence.
  [[nodiscard]] int64_t length(int64_t sequence) const;
  /// Forgets all but the first `length` tokens.
  void truncate(int64_t sequence, int64_t length);

  at::Tensor attend(int64_t layer,
                    const at::Tensor& q_NHE,
                    const at::Tensor& k_NGE,
                    const at::Tensor& v_NGE) override;

 private:
  struct Cache {
    std::vector<at::Tensor> keys_GTE;    // one a layer
    std::vector<at::Tensor> values_GTE;  // one a layer
    int64_t length = 0;
    int64_t room = 0;
  };
  void make_room(Cache& cache, int64_t length) const;
  /// Writes rows behind a cache's last token.
  void append(const at::Tensor& from_NGE, const Cache& cache, const at::Tensor& to_GTE) const;
  /// Puts a cache's tokens in front of the rows in `to`.
  void copy_cached(const at::Tensor& from_GTE, const Cache& cache, const at::Tensor& to_TGE) const;
  [[nodiscard]] at::Tensor attend_many(const at::Tensor& q_NHE,
                                       const at::Tensor& k_NGE,
                                       const at::Tensor& v_NGE,
                                       const Cache& cache,
                                       int64_t layer) const;

  model::DecoderShape shape_;
  std::vector<Cache> caches_;
  std::vector<Rows> rows_;
};

}  // namespace attune::generate
