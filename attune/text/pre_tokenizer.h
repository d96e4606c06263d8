// tokenizer.json's "pre_tokenizer": how a text falls into the pieces that the model sees.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "attune/text/json_reader.h"
#include "attune/text/regex.h"

namespace attune::text {

/// A part of a text. Texts that a step made stand in Pieces::made.
struct Piece {
  std::string_view text;
  bool at_start;  ///< begins where the whole input begins
};

/// The pieces of one text, with the storage of those that were rewritten.
struct Pieces {
  std::vector<Piece> list;
  std::deque<std::string> made;
  std::vector<Range> matches;  ///< a step's own, kept for its memory
};

/// A chain of splittings.
class PreTokenizer {
 public:
  /// Splits one piece and appends its parts to `out`; texts that it makes go to `made`.
  using Step = std::function<void(Piece piece, Pieces& out)>;

  PreTokenizer() = default;

  /// @throws Error naming a component that attune does not have.
  static PreTokenizer parse(const Json& component);

  /// The patterns one after the other, each Isolated, then the byte alphabet.
  static PreTokenizer of_patterns(const std::vector<std::string>& patterns);

  /// Pieces of `text`, none of them empty.
  void split(std::string_view text, bool at_start, Pieces& pieces) const;

  /// True if the model's pieces are spelt in GPT-2's byte alphabet as the last step. The pieces of
  /// `split` are not yet.
  bool byte_level() const {
    return byte_level_;
  }

 private:
  std::vector<Step> steps_;
  bool byte_level_ = false;
};

/// GPT-2's split pattern.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace attune::text
