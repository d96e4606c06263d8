// Regular expressions over UTF-8, by PCRE2 with its just-in-time compiler.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace attune::text {

/// Bytes begin <= i < end of a text.
struct Range {
  size_t begin;
  size_t end;
};

/// A compiled pattern in the dialect of tokenizer.json (Oniguruma's), as far as tokenizers use it:
/// \s, \w and \S, \W mean Unicode's classes exactly as there, ^ and $ match at lines.
/// Immutable; may be used from any thread.
class Regex {
 public:
  /// @throws Error with the place in the pattern if it does not compile.
  explicit Regex(std::string_view pattern);

  /// Appends the ranges of all matches in `text`, which must be well-formed UTF-8; empty ones are
  /// left out. @throws Error if matching exceeds PCRE2's limits.
  void find_all(std::string_view text, std::vector<Range>& matches) const;

  const std::string& pattern() const {
    return pattern_;
  }

 private:
  struct Code;
  std::string pattern_;
  std::shared_ptr<const Code> code_;
};

}  // namespace attune::text
