#include "attune/text/bpe_model.h"

#include <algorithm>
#include <limits>

#include "attune/core/error.h"
#include "attune/text/unicode.h"

namespace attune::text {

namespace {

constexpr uint64_t kNoPair = ~uint64_t{0};
constexpr std::string_view kMark = "\xe2\x96\x81";

uint64_t pair_of(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

size_t slot_of(uint64_t pair, size_t mask) {
  return static_cast<size_t>((pair * 0x9e3779b97f4a7c15ULL) >> 20) & mask;
}

}  // namespace

std::vector<int32_t> byte_token_ids(const Vocabulary& vocabulary) {
  std::vector<int32_t> ids(256, -1);
  for (int byte = 0; byte < 256; ++byte) {
    ids[static_cast<size_t>(byte)] = vocabulary.find(fmt::format("<0x{:02X}>", byte)).value_or(-1);
  }
  return ids;
}

bool marks_only_begin_tokens(const Vocabulary& vocabulary) {
  if (!vocabulary.find(kMark)) {
    return false;
  }
  return std::all_of(vocabulary.tokens().begin(), vocabulary.tokens().end(), [](const auto& token) {
    const std::string_view text = token.first;
    size_t at = 0;
    while (text.substr(at, kMark.size()) == kMark) {
      at += kMark.size();
    }
    return text.find(kMark, at) == std::string_view::npos;
  });
}

BpeModel::BpeModel(const Vocabulary& vocabulary,
                   const std::vector<std::pair<std::string, std::string>>& merges,
                   BpeOptions options)
    : vocabulary_(vocabulary), options_(std::move(options)) {
  if (options_.unk_token) {
    unk_ = vocabulary.find(*options_.unk_token);
    check(unk_.has_value(),
          "tokenizer model: unk_token \"{}\" is not in the vocabulary.",
          *options_.unk_token);
  }
  if (options_.byte_fallback) {
    byte_ids_ = byte_token_ids(vocabulary);
  }
  cuts_at_marks_ = !options_.ignore_merges && options_.continuing_subword_prefix.empty() &&
                   options_.end_of_word_suffix.empty() && marks_only_begin_tokens(vocabulary);

  size_t num_slots = 16;
  while (num_slots < merges.size() * 2) {
    num_slots *= 2;
  }
  table_.assign(num_slots, Merge{kNoPair, 0, 0});
  const auto id_of = [&](size_t rank, const std::string& token) {
    const auto id = vocabulary.find(token);
    check(id.has_value(),
          "tokenizer model: merge {} (\"{}\" \"{}\") needs the token \"{}\", which is not in the "
          "vocabulary.",
          rank,
          merges[rank].first,
          merges[rank].second,
          token);
    return *id;
  };
  check(merges.size() < std::numeric_limits<uint32_t>::max(), "tokenizer model: too many merges.");
  const size_t prefix = options_.continuing_subword_prefix.size();
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    check(right.size() >= prefix, "tokenizer model: merge {} is shorter than the prefix.", rank);
    const int32_t left_id = id_of(rank, left);
    const int32_t right_id = id_of(rank, right);
    const int32_t joined = id_of(rank, left + right.substr(prefix));
    insert({pair_of(left_id, right_id), static_cast<uint32_t>(rank), joined});
  }
}

void BpeModel::insert(const Merge& merge) {
  const size_t mask = table_.size() - 1;
  size_t slot = slot_of(merge.pair, mask);
  while (table_[slot].pair != kNoPair && table_[slot].pair != merge.pair) {
    slot = (slot + 1) & mask;
  }
  table_[slot] = merge;  // of two equal pairs the last one counts, as in tokenizers' map
}

const BpeModel::Merge* BpeModel::find(int32_t left, int32_t right) const {
  const uint64_t pair = pair_of(left, right);
  const size_t mask = table_.size() - 1;
  for (size_t slot = slot_of(pair, mask); table_[slot].pair != kNoPair; slot = (slot + 1) & mask) {
    if (table_[slot].pair == pair) {
      return &table_[slot];
    }
  }
  return nullptr;
}

void BpeModel::encode(std::string_view piece, std::vector<int32_t>& ids) const {
  if (options_.ignore_merges) {
    if (const auto id = vocabulary_.find(piece)) {
      ids.push_back(*id);
      return;
    }
  }
  check(piece.size() < static_cast<size_t>(std::numeric_limits<int32_t>::max()),
        "tokenizer: a piece of {} bytes is too long.",
        piece.size());
  std::vector<int32_t> symbols;
  symbols.reserve(piece.size());
  spell(piece, symbols);
  merge(symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

// The characters as tokens. A pending unknown goes in before the next known character but not
// before byte tokens: tokenizers' order, odd as it is.
void BpeModel::spell(std::string_view piece, std::vector<int32_t>& ids) const {
  const bool decorated =
      !options_.continuing_subword_prefix.empty() || !options_.end_of_word_suffix.empty();
  bool unk_pending = false;
  std::string buffer;
  for (size_t at = 0; at < piece.size();) {
    const size_t size = character_size(piece[at]);
    std::string_view symbol = piece.substr(at, size);
    if (decorated) {
      buffer = at == 0 ? "" : options_.continuing_subword_prefix;
      buffer += symbol;
      if (at + size == piece.size()) {
        buffer += options_.end_of_word_suffix;
      }
      symbol = buffer;
    }
    at += size;
    if (const auto id = vocabulary_.find(symbol)) {
      if (unk_pending) {
        ids.push_back(*unk_);
        unk_pending = false;
      }
      ids.push_back(*id);
      continue;
    }
    const auto byte_id = [&](char c) { return (*byte_ids_)[static_cast<unsigned char>(c)]; };
    if (byte_ids_ &&
        std::all_of(symbol.begin(), symbol.end(), [&](char c) { return byte_id(c) >= 0; })) {
      for (const char c : symbol) {
        ids.push_back(byte_id(c));
      }
      continue;
    }
    if (unk_) {
      if (unk_pending && !options_.fuse_unk) {
        ids.push_back(*unk_);
      }
      unk_pending = true;
    }
  }
  if (unk_pending) {
    ids.push_back(*unk_);
  }
}

void BpeModel::merge(std::vector<int32_t>& ids) const {
  if (ids.size() < 2) {
    return;
  }
  struct Candidate {
    uint32_t rank;
    int32_t left;
    int32_t id;
  };
  const auto later = [](const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
  };
  const auto count = static_cast<int32_t>(ids.size());
  std::vector<int32_t> previous(ids.size());
  std::vector<int32_t> next(ids.size());
  std::vector<Candidate> heap;
  const auto at = [](int32_t index) { return static_cast<size_t>(index); };
  const auto add = [&](int32_t left, int32_t right) {
    if (const Merge* found = find(ids[at(left)], ids[at(right)])) {
      heap.push_back({found->rank, left, found->id});
      return true;
    }
    return false;
  };
  for (int32_t i = 0; i < count; ++i) {
    previous[at(i)] = i - 1;
    next[at(i)] = i + 1 == count ? -1 : i + 1;
    if (i > 0) {
      add(i - 1, i);
    }
  }
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const Candidate best = heap.back();
    heap.pop_back();
    const int32_t left = best.left;
    if (ids[at(left)] < 0 || next[at(left)] < 0) {
      continue;
    }
    const int32_t right = next[at(left)];
    const Merge* current = find(ids[at(left)], ids[at(right)]);
    if (current == nullptr || current->id != best.id) {
      continue;  // one side has been merged since
    }
    ids[at(left)] = best.id;
    ids[at(right)] = -1;
    next[at(left)] = next[at(right)];
    if (next[at(left)] >= 0) {
      previous[at(next[at(left)])] = left;
    }
    if (previous[at(left)] >= 0 && add(previous[at(left)], left)) {
      std::push_heap(heap.begin(), heap.end(), later);
    }
    if (next[at(left)] >= 0 && add(left, next[at(left)])) {
      std::push_heap(heap.begin(), heap.end(), later);
    }
  }
  ids.erase(std::remove(ids.begin(), ids.end(), -1), ids.end());
}

}  // namespace attune::text
