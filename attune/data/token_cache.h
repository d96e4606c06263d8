// Groups as token ids in one memory-mapped file: written once, opened in no time ever after.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attune/core/progress.h"
#include "attune/data/encoded_group.h"
#include "attune/data/options.h"
#include "attune/text/chat_template.h"
#include "attune/text/tokenizer.h"

namespace attune::data {

/// A data set of encoded groups, read-only, in one mapped file. Copies share the mapping; reading
/// is safe from several threads. However much is read, no more than some 16 MiB of the file's pages
/// stay in the process's memory.
class TokenCache {
 public:
  /// Opens a cache file and checks all of it that a reader relies on: sizes, offsets, checksum.
  /// @throws Error  If the file is missing, cut, of another version or damaged.
  explicit TokenCache(const std::filesystem::path& path);

  /// Number of groups.
  [[nodiscard]] int64_t size() const;
  /// Group `i`, 0 <= i < size(). @throws InternalError outside of that.
  [[nodiscard]] EncodedGroup group(int64_t i) const;
  /// Packed tokens of group `i`: the prompt once and all completions.
  [[nodiscard]] int64_t num_tokens(int64_t i) const;
  /// Completions of group `i`.
  [[nodiscard]] int32_t num_completions(int64_t i) const;
  /// Comparisons of group `i`; 0 for an unpaired completion.
  [[nodiscard]] int32_t num_comparisons(int64_t i) const;
  /// What there is to learn from in group `i`, without reading its tokens.
  [[nodiscard]] GroupItems items(int64_t i) const;
  /// The tag of group `i` as an index into tags(); -1: none.
  [[nodiscard]] int32_t tag(int64_t i) const;
  /// The different tags, in the order of their first groups.
  [[nodiscard]] const std::vector<std::string>& tags() const;
  /// "file:line" of group `i`. Valid while a copy of this object lives.
  [[nodiscard]] std::string_view where(int64_t i) const;
  /// Hash of the prompt before truncation: equal prompts, equal hashes.
  [[nodiscard]] uint64_t prompt_hash(int64_t i) const;
  /// EncodedGroup::key of group `i`, without reading its tokens.
  [[nodiscard]] uint64_t content_key(int64_t i) const;
  /// Packed tokens of all groups.
  [[nodiscard]] int64_t total_tokens() const;
  /// Comparisons of all groups.
  [[nodiscard]] int64_t total_comparisons() const;
  /// What the cache was made from: 32 hexadecimal digits over files, tokenizer, template, options.
  [[nodiscard]] std::string key() const;
  /// The counts of the build as JSON, for the one who reads the cache again.
  [[nodiscard]] std::string_view report() const;
  /// The cache file.
  [[nodiscard]] const std::filesystem::path& path() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// Rows that were left out for one reason.
struct DropCount {
  std::string reason = {};                 ///< One line, lower case.
  int64_t rows = 0;                        ///< How many.
  std::vector<std::string> examples = {};  ///< "file:line" of the first of them, at most 5.
};

/// What became of the rows.
struct BuildReport {
  int64_t rows = 0;         ///< Rows read, dropped ones included.
  int64_t groups = 0;       ///< Groups kept.
  int64_t comparisons = 0;  ///< Comparisons of the groups kept.
  int64_t tokens = 0;       ///< Packed tokens of the groups kept.
  std::vector<DropCount> dropped = {};
  int64_t truncated = 0;    ///< Groups kept that lost tokens to the window.
  bool from_cache = false;  ///< The files were not read: an older run had done it.
  double seconds = 0;       ///< Wall clock of the call.
};

/// The token cache of `files`, made now or found in the cache folder. Memory stays flat however
/// many rows there are.
///
/// @param files          Read in this order; groups keep the order of the rows.
/// @param tokenizer      Its fingerprint is part of the key.
/// @param chat_template  Needed by conversational rows; null: they are an error.
/// @param watcher        Hears "tokenising" in rows.
/// @throws Error  For a file that cannot be read or holds no usable row; for a bad row if
///                options.on_bad_row is "error".
std::pair<TokenCache, BuildReport> build_token_cache(const DataOptions& options,
                                                     std::span<const std::string> files,
                                                     const text::Tokenizer& tokenizer,
                                                     const text::ChatTemplate* chat_template,
                                                     Watcher& watcher);

/// Indices of groups, ascending.
struct Split {
  std::vector<int64_t> train = {};
  std::vector<int64_t> held_out = {};
};

/// Splits by a hash of the prompt: groups of one prompt are all on one side, and a prompt keeps its
/// side when rows are added. At least one prompt stays on each side if there are two and the
/// fraction is above 0.
///
/// @param held_out_fraction  Expected share of the prompts that are held out, in [0, 1).
Split split_by_prompt(const TokenCache& cache, double held_out_fraction, uint64_t seed);

}  // namespace attune::data
