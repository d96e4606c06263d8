#include "attune/text/added_tokens.h"

#include <algorithm>

#include "attune/core/error.h"
#include "attune/text/unicode.h"

namespace attune::text {

namespace {

constexpr size_t kMaxTokenBytes = 4096;  // bounds the work at each byte of a text

bool ends_with_word(std::string_view text) {
  return !text.empty() &&
         is_word_character(character_at(text, previous_character(text, text.size())).code);
}

bool starts_with_word(std::string_view text) {
  return !text.empty() && is_word_character(character_at(text, 0).code);
}

}  // namespace

void TokenFinder::add(std::string_view content, const AddedToken& token) {
  if (content.empty()) {
    return;
  }
  check(content.size() <= kMaxTokenBytes,
        "added token {}: {} bytes are too long, expected at most {}.",
        token.id,
        content.size(),
        kMaxTokenBytes);
  starts_[static_cast<unsigned char>(content[0])] = true;
  size_t node = 0;
  for (const char c : content) {
    const auto [at, is_new] = nodes_[node].next.try_emplace(static_cast<unsigned char>(c),
                                                            static_cast<int32_t>(nodes_.size()));
    node = static_cast<size_t>(at->second);
    if (is_new) {
      nodes_.emplace_back();
    }
  }
  if (nodes_[node].token < 0) {  // of two equal contents the first one counts
    nodes_[node].token = static_cast<int32_t>(tokens_.size());
    tokens_.push_back(token);
  }
}

int32_t TokenFinder::longest_match(std::string_view text, size_t begin, size_t& end) const {
  int32_t best = -1;
  size_t node = 0;
  for (size_t at = begin; at < text.size(); ++at) {
    const auto next = nodes_[node].next.find(static_cast<unsigned char>(text[at]));
    if (next == nodes_[node].next.end()) {
      break;
    }
    node = static_cast<size_t>(next->second);
    if (nodes_[node].token >= 0) {
      best = nodes_[node].token;
      end = at + 1;
    }
  }
  return best;
}

std::vector<TokenFinder::Stretch> TokenFinder::cut(std::string_view text, bool skip_special) const {
  std::vector<Stretch> stretches;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    if (!starts_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    size_t end = at;
    const int32_t index = longest_match(text, at, end);
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(index)];
    size_t begin = at;
    at = end;
    if (skip_special && token.special) {
      continue;
    }
    if (token.single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) {
      continue;
    }
    while (token.lstrip && begin > done) {
      const size_t before = previous_character(text, begin);
      if (!is_whitespace(character_at(text, before).code)) {
        break;
      }
      begin = before;
    }
    while (token.rstrip && end < text.size() && is_whitespace(character_at(text, end).code)) {
      end += character_size(text[end]);
    }
    begin = std::max(begin, done);
    if (begin > done) {
      stretches.push_back({done, begin, std::nullopt});
    }
    stretches.push_back({begin, end, token.id});
    done = end;
    at = std::max(at, end);
  }
  if (done < text.size()) {
    stretches.push_back({done, text.size(), std::nullopt});
  }
  return stretches;
}

}  // namespace attune::text
