// Pieces to ids, remembering the pieces that come again and again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "attune/text/model.h"
#include "attune/text/vocabulary.h"

namespace attune::text {

struct PieceCache;

/// A model with a pool of caches: each encode call leases one cache for itself, so threads never
/// wait for each other but at the pool's door.
class PieceEncoder {
 public:
  /// With `byte_level`, pieces are spelt in GPT-2's byte alphabet before the model sees them.
  PieceEncoder(std::unique_ptr<const Model> model, bool byte_level);
  ~PieceEncoder();

  /// What one call works with; gives its cache back at its end.
  class Lease {
   public:
    explicit Lease(const PieceEncoder& encoder);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    /// Appends the ids of `piece`.
    void encode(std::string_view piece, std::vector<int32_t>& ids);

   private:
    void encode_word(std::string_view word, std::vector<int32_t>& ids);

    const PieceEncoder& encoder_;
    std::unique_ptr<PieceCache> cache_;
    std::string buffer_;
  };

 private:
  std::unique_ptr<const Model> model_;
  bool byte_level_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<PieceCache>> pool_;
};

}  // namespace attune::text
