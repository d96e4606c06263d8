#include "attune/data/packed_batch.h"

#include <limits>

#include "attune/core/error.h"
#include "attune/core/random.h"
#include "attune/data/shared_prefixes.h"

namespace attune::data {
namespace {

/// Appends one segment's tokens, keyed by `keys`, and returns its index.
int32_t append_segment(PackedBatch& batch,
                       std::span<const int32_t> tokens,
                       std::span<const uint64_t> keys,
                       int32_t parent,
                       int32_t first_position) {
  const auto begin = static_cast<int32_t>(batch.tokens.size());
  batch.tokens.insert(batch.tokens.end(), tokens.begin(), tokens.end());
  batch.row_keys.insert(batch.row_keys.end(), keys.begin(), keys.end());
  for (int32_t i = 0; i < static_cast<int32_t>(tokens.size()); ++i) {
    batch.positions.push_back(first_position + i);
  }
  batch.segments.push_back({begin, static_cast<int32_t>(batch.tokens.size()), parent});
  return static_cast<int32_t>(batch.segments.size()) - 1;
}

/// Of each token of a prompt, from all tokens up to it.
std::vector<uint64_t> prompt_keys(std::span<const int32_t> prompt) {
  std::vector<uint64_t> keys;
  uint64_t key = 0;
  for (const int32_t token : prompt) {
    key = random_word(key, static_cast<uint64_t>(token));
    keys.push_back(key);
  }
  return keys;
}

/// Of each token of a completion, the `ordinal`th of its group.
std::vector<uint64_t> completion_keys(const EncodedGroup& group, uint64_t ordinal, size_t count) {
  const uint64_t key = random_word(group.key, ordinal);
  std::vector<uint64_t> keys;
  for (size_t i = 0; i < count; ++i) {
    keys.push_back(random_word(key, group.prompt.size() + i));
  }
  return keys;
}

/// Appends what prompts share, and the rest of each when its group comes.
class Prompts {
 public:
  Prompts(PackedBatch& batch, std::span<const EncodedGroup> groups)
      : batch_(batch), groups_(groups) {
    std::vector<std::span<const int32_t>> prompts;
    for (const EncodedGroup& group : groups) {
      prompts.emplace_back(group.prompt);
    }
    shared_ = share_prefixes(prompts);
    for (const SharedRun& run : shared_.runs) {
      append(prompts[run.prompt].first(static_cast<size_t>(run.end)), run.begin, run.parent);
    }
  }

  /// The segment that ends the prompt of group `g`.
  int32_t append_rest(size_t g) {
    const int32_t run = shared_.run_of[g];
    const int32_t begin = run < 0 ? 0 : shared_.runs[static_cast<size_t>(run)].end;
    const std::vector<int32_t>& prompt = groups_[g].prompt;
    return begin == static_cast<int32_t>(prompt.size()) ? run : append(prompt, begin, run);
  }

 private:
  // Tokens from `begin` on. Runs are the first segments, so that they have the same indices.
  int32_t append(std::span<const int32_t> tokens, int32_t begin, int32_t parent) {
    const auto skip = static_cast<size_t>(begin);
    const std::vector<uint64_t> keys = prompt_keys(tokens);
    return append_segment(
        batch_, tokens.subspan(skip), std::span(keys).subspan(skip), parent, begin);
  }

  PackedBatch& batch_;
  std::span<const EncodedGroup> groups_;
  SharedPrefixes shared_;
};

/// The rows that predict the sequence's labels: the parent's last token, then all but its own last.
void append_scored_rows(PackedBatch& batch, int32_t sequence) {
  const Segment own = batch.segments[batch.sequences[sequence].segment];
  const Segment parent = batch.segments[own.parent];
  for (int32_t at = own.begin; at < own.end; ++at) {
    batch.row.push_back(at == own.begin ? parent.end - 1 : at - 1);
    batch.label.push_back(batch.tokens[at]);
    batch.row_sequence.push_back(sequence);
  }
}

void append_comparisons(PackedBatch& batch, const EncodedGroup& group, int32_t first_sequence) {
  const auto K = static_cast<int32_t>(group.completions.size());
  for (const EncodedComparison& c : group.comparisons) {
    ensure(c.winner >= 0 && c.winner < K && c.loser >= 0 && c.loser < K && c.winner != c.loser,
           "pack: comparison of {} and {} in a group of {} completions",
           c.winner,
           c.loser,
           K);
    batch.winner.push_back(first_sequence + c.winner);
    batch.loser.push_back(first_sequence + c.loser);
    batch.probability.push_back(c.probability);
    batch.weight.push_back(c.weight);
  }
}

/// Labels, their weights, scores and values of the group's completions; what it has none of stays
/// "not said".
void append_numbers(PackedBatch& batch, const EncodedGroup& group, size_t g) {
  const size_t K = group.completions.size();
  const size_t S = batch.sequences.size();
  const auto append = [&](auto& list, const auto& own, auto unknown, std::string_view what) {
    ensure(own.empty() || own.size() == K, "pack: group {} has {} {}", g, own.size(), what);
    list.resize(S - K, unknown);
    list.insert(list.end(), own.begin(), own.end());
    list.resize(S, unknown);
  };
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  append(batch.desirable, group.labels, int8_t{0}, "labels");
  append(batch.label_weight, group.label_weights, 1.0F, "label weights");
  append(batch.score, group.scores, kNone, "scores");
  for (const auto& [column, numbers] : group.values) {
    append(batch.values[column], numbers, kNone, column);
  }
}

/// Every list as long as there are sequences.
void fill_up(PackedBatch& batch) {
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  const size_t S = batch.sequences.size();
  batch.desirable.resize(S, 0);
  batch.label_weight.resize(S, 1);
  batch.score.resize(S, kNone);
  batch.mismatched.resize(S, false);
  for (auto& [column, numbers] : batch.values) {
    numbers.resize(S, kNone);
  }
}

}  // namespace

PackedBatch pack(std::span<const EncodedGroup> groups,
                 std::span<const int64_t> indices,
                 std::span<const std::vector<int32_t>> strangers) {
  ensure(strangers.empty() || strangers.size() == groups.size(),
         "pack: {} strangers for {} groups",
         strangers.size(),
         groups.size());
  ensure(indices.empty() || indices.size() == groups.size(),
         "pack: {} indices for {} groups",
         indices.size(),
         groups.size());
  int64_t total = 0;
  for (const EncodedGroup& group : groups) {
    total += group.num_tokens();
  }
  for (const std::vector<int32_t>& stranger : strangers) {
    total += static_cast<int64_t>(stranger.size());
  }
  ensure(total <= std::numeric_limits<int32_t>::max(), "pack: {} tokens in one batch", total);

  PackedBatch batch;
  batch.tokens.reserve(static_cast<size_t>(total));
  batch.positions.reserve(static_cast<size_t>(total));
  batch.row_keys.reserve(static_cast<size_t>(total));
  for (size_t g = 0; g < groups.size(); ++g) {
    ensure(!groups[g].prompt.empty(), "pack: group {} has no prompt token", g);
  }
  Prompts prompts(batch, groups);
  for (size_t g = 0; g < groups.size(); ++g) {
    const EncodedGroup& group = groups[g];
    batch.groups.push_back(indices.empty() ? static_cast<int64_t>(g) : indices[g]);
    batch.tags.push_back(group.tag);

    uint64_t ordinal = 0;  // of the segment within its group
    const auto first_sequence = static_cast<int32_t>(batch.sequences.size());
    const auto prompt_size = static_cast<int32_t>(group.prompt.size());
    const int32_t prompt = prompts.append_rest(g);
    const auto append_completion = [&](const std::vector<int32_t>& completion) {
      ensure(!completion.empty(), "pack: group {} has an empty completion", g);
      ++ordinal;
      const int32_t segment = append_segment(batch,
                                             completion,
                                             completion_keys(group, ordinal, completion.size()),
                                             prompt,
                                             prompt_size);
      batch.sequences.push_back({segment, static_cast<int32_t>(g)});
      append_scored_rows(batch, static_cast<int32_t>(batch.sequences.size()) - 1);
    };
    for (const std::vector<int32_t>& completion : group.completions) {
      append_completion(completion);
    }
    append_comparisons(batch, group, first_sequence);
    append_numbers(batch, group, g);
    if (!strangers.empty()) {
      append_completion(strangers[g]);
      batch.mismatched.resize(batch.sequences.size(), false);
      batch.mismatched.back() = true;
    }
  }
  fill_up(batch);
  return batch;
}

}  // namespace attune::data
