#include "attune/text/piece_encoder.h"

#include <algorithm>
#include <utility>

#include "attune/text/byte_alphabet.h"

namespace attune::text {

namespace {

constexpr size_t kMaxPieceBytes = 64;  // longer pieces hardly ever come again
constexpr size_t kMaxPieces = 1 << 16;
constexpr std::string_view kMark = "\xe2\x96\x81";

}  // namespace

struct PieceCache {
  std::unordered_map<std::string, std::pair<uint32_t, uint32_t>, TextHash, std::equal_to<>> spans;
  std::vector<int32_t> ids;  // all pieces' ids, one after the other
};

PieceEncoder::PieceEncoder(std::unique_ptr<const Model> model, bool byte_level)
    : model_(std::move(model)), byte_level_(byte_level) {}

PieceEncoder::~PieceEncoder() = default;

PieceEncoder::Lease::Lease(const PieceEncoder& encoder) : encoder_(encoder) {
  {
    const std::lock_guard lock(encoder.mutex_);
    if (!encoder.pool_.empty()) {
      cache_ = std::move(encoder.pool_.back());
      encoder.pool_.pop_back();
    }
  }
  if (cache_ == nullptr) {
    cache_ = std::make_unique<PieceCache>();
  }
}

PieceEncoder::Lease::~Lease() {
  const std::lock_guard lock(encoder_.mutex_);
  encoder_.pool_.push_back(std::move(cache_));
}

void PieceEncoder::Lease::encode(std::string_view piece, std::vector<int32_t>& ids) {
  if (encoder_.byte_level_ || !encoder_.model_->cuts_at_marks()) {
    encode_word(piece, ids);
    return;
  }
  size_t begin = 0;
  while (begin < piece.size()) {
    size_t end = begin;
    while (piece.substr(end, kMark.size()) == kMark) {
      end += kMark.size();
    }
    end = std::min(piece.find(kMark, end), piece.size());
    encode_word(piece.substr(begin, end - begin), ids);
    begin = end;
  }
}

void PieceEncoder::Lease::encode_word(std::string_view word, std::vector<int32_t>& ids) {
  const bool cacheable = word.size() <= kMaxPieceBytes;
  if (cacheable) {
    const auto found = cache_->spans.find(word);
    if (found != cache_->spans.end()) {
      const int32_t* from = cache_->ids.data() + found->second.first;
      ids.insert(ids.end(), from, from + found->second.second);
      return;
    }
  }
  const size_t before = ids.size();
  std::string_view spelt = word;
  if (encoder_.byte_level_) {
    buffer_.clear();
    append_alphabet(buffer_, word);
    spelt = buffer_;
  }
  encoder_.model_->encode(spelt, ids);
  if (cacheable) {
    if (cache_->spans.size() >= kMaxPieces) {
      cache_->spans.clear();
      cache_->ids.clear();
    }
    cache_->spans.emplace(std::string(word),
                          std::pair{static_cast<uint32_t>(cache_->ids.size()),
                                    static_cast<uint32_t>(ids.size() - before)});
    cache_->ids.insert(
        cache_->ids.end(), ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end());
  }
}

}  // namespace attune::text
