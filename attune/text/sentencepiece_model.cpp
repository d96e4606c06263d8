#include "attune/text/sentencepiece_model.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "attune/core/error.h"
#include "attune/text/bpe_model.h"
#include "attune/text/unicode.h"

namespace attune::text {

SentencePieceModel::SentencePieceModel(const Vocabulary& vocabulary,
                                       std::vector<float> scores,
                                       std::optional<int32_t> unk)
    : vocabulary_(vocabulary),
      scores_(std::move(scores)),
      unk_(unk),
      byte_ids_(byte_token_ids(vocabulary)),
      cuts_at_marks_(marks_only_begin_tokens(vocabulary)) {
  check(static_cast<int64_t>(scores_.size()) == vocabulary.size(),
        "tokenizer model: {} scores for {} tokens.",
        scores_.size(),
        vocabulary.size());
  // A comparison with NaN would break the heap's order.
  check(std::none_of(scores_.begin(), scores_.end(), [](float score) { return score != score; }),
        "tokenizer model: a score is not a number.");
}

void SentencePieceModel::append(std::string_view symbol, std::vector<int32_t>& ids) const {
  if (const auto id = vocabulary_.find(symbol)) {
    ids.push_back(*id);
    return;
  }
  for (const char c : symbol) {
    const int32_t id = byte_ids_[static_cast<unsigned char>(c)];
    if (id >= 0) {
      ids.push_back(id);
    } else if (unk_) {
      ids.push_back(*unk_);
      return;
    }
  }
}

void SentencePieceModel::encode(std::string_view piece, std::vector<int32_t>& ids) const {
  check(piece.size() < static_cast<size_t>(std::numeric_limits<int32_t>::max()),
        "tokenizer: a piece of {} bytes is too long.",
        piece.size());
  struct Symbol {
    int32_t begin;
    int32_t size;  // 0: merged into its left neighbour
    int32_t previous;
    int32_t next;
  };
  struct Candidate {
    float score;
    int32_t left;
    int32_t size;
  };
  const auto worse = [](const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score < b.score : a.left > b.left;
  };
  const auto at = [](int32_t index) { return static_cast<size_t>(index); };

  std::vector<Symbol> symbols;
  for (size_t begin = 0; begin < piece.size();) {
    const size_t size = character_size(piece[begin]);
    const auto index = static_cast<int32_t>(symbols.size());
    symbols.push_back(
        {static_cast<int32_t>(begin), static_cast<int32_t>(size), index - 1, index + 1});
    begin += size;
  }
  if (!symbols.empty()) {
    symbols.back().next = -1;
  }

  const auto text_of = [&](int32_t begin, int32_t size) {
    return piece.substr(at(begin), at(size));
  };
  std::vector<Candidate> heap;
  const auto add = [&](int32_t left, int32_t right) {
    const int32_t size = symbols[at(left)].size + symbols[at(right)].size;
    if (at(size) > vocabulary_.longest()) {
      return false;
    }
    const auto id = vocabulary_.find(text_of(symbols[at(left)].begin, size));
    if (!id) {
      return false;
    }
    heap.push_back({scores_[at(*id)], left, size});
    return true;
  };
  for (int32_t i = 1; at(i) < symbols.size(); ++i) {
    add(i - 1, i);
  }
  std::make_heap(heap.begin(), heap.end(), worse);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), worse);
    const Candidate best = heap.back();
    heap.pop_back();
    Symbol& left = symbols[at(best.left)];
    if (left.size == 0 || left.next < 0 || left.size + symbols[at(left.next)].size != best.size) {
      continue;  // one side has been merged since
    }
    Symbol& right = symbols[at(left.next)];
    left.size = best.size;
    right.size = 0;
    left.next = right.next;
    if (left.next >= 0) {
      symbols[at(left.next)].previous = best.left;
    }
    if (left.previous >= 0 && add(left.previous, best.left)) {
      std::push_heap(heap.begin(), heap.end(), worse);
    }
    if (left.next >= 0 && add(best.left, left.next)) {
      std::push_heap(heap.begin(), heap.end(), worse);
    }
  }
  for (const Symbol& symbol : symbols) {
    if (symbol.size > 0) {
      append(text_of(symbol.begin, symbol.size), ids);
    }
  }
}

}  // namespace attune::text
