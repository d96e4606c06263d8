// Byte-pair encoding as Hugging Face's tokenizers do it: merges in the order of their rank.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attune/text/model.h"
#include "attune/text/vocabulary.h"

namespace attune::text {

/// The switches of tokenizer.json's BPE model.
struct BpeOptions {
  bool byte_fallback = false;             ///< spells unknown characters as <0x..> tokens
  bool fuse_unk = false;                  ///< a run of unknown characters is one unknown token
  bool ignore_merges = false;             ///< a piece that is a token is that token
  std::optional<std::string> unk_token;   ///< without it, unknown characters vanish
  std::string continuing_subword_prefix;  ///< before every character but a piece's first
  std::string end_of_word_suffix;         ///< after a piece's last character
};

/// Merges pairs of neighbours, the lowest rank first, until none is left.
/// Paper: Sennrich, Haddow, Birch 2016, arXiv:1508.07909, section 3.2.
class BpeModel final : public Model {
 public:
  /// `merges` in order of rank. The vocabulary must outlive the model.
  /// @throws Error if a merge names a token, or makes one, that is not in the vocabulary.
  BpeModel(const Vocabulary& vocabulary,
           const std::vector<std::pair<std::string, std::string>>& merges,
           BpeOptions options);

  void encode(std::string_view piece, std::vector<int32_t>& ids) const override;
  bool cuts_at_marks() const override {
    return cuts_at_marks_;
  }

 private:
  struct Merge {
    uint64_t pair;  // left id << 32 | right id; kNoPair in an empty slot
    uint32_t rank;
    int32_t id;
  };

  void insert(const Merge& merge);
  const Merge* find(int32_t left, int32_t right) const;
  void spell(std::string_view piece, std::vector<int32_t>& ids) const;
  void merge(std::vector<int32_t>& ids) const;

  const Vocabulary& vocabulary_;
  BpeOptions options_;
  std::optional<int32_t> unk_;
  std::optional<std::vector<int32_t>> byte_ids_;
  std::vector<Merge> table_;  // open addressing; the size is a power of two
  bool cuts_at_marks_;
};

/// The ids of <0x00> to <0xFF>, -1 where the vocabulary has none.
std::vector<int32_t> byte_token_ids(const Vocabulary& vocabulary);

/// True if no token holds another character followed by "▁", and "▁" is a token.
bool marks_only_begin_tokens(const Vocabulary& vocabulary);

}  // namespace attune::text
