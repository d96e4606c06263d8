// SentencePiece's BPE: merges neighbours whose joint text is the best scored token.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "attune/text/model.h"
#include "attune/text/vocabulary.h"

namespace attune::text {

/// The model of GGUF's "llama" vocabularies. Ties of score go to the leftmost pair; characters that
/// are no tokens are spelt as <0x..> tokens.
/// Paper: Kudo, Richardson 2018, arXiv:1808.06226.
class SentencePieceModel final : public Model {
 public:
  /// `scores` has one entry per id. The vocabulary must outlive the model.
  SentencePieceModel(const Vocabulary& vocabulary,
                     std::vector<float> scores,
                     std::optional<int32_t> unk);

  void encode(std::string_view piece, std::vector<int32_t>& ids) const override;
  bool cuts_at_marks() const override {
    return cuts_at_marks_;
  }

 private:
  void append(std::string_view symbol, std::vector<int32_t>& ids) const;

  const Vocabulary& vocabulary_;
  std::vector<float> scores_;
  std::optional<int32_t> unk_;
  std::vector<int32_t> byte_ids_;
  bool cuts_at_marks_;
};

}  // namespace attune::text
