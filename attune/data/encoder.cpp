#include "attune/data/encoder.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "attune/core/hash.h"
#include "attune/data/row_error.h"
#include "attune/data/truncation.h"
#include "attune/text/unicode.h"

namespace attune::data {
namespace {

bool begins_with(const std::vector<int32_t>& ids, const std::vector<int32_t>& beginning) {
  return ids.size() >= beginning.size() &&
         std::equal(beginning.begin(), beginning.end(), ids.begin());
}

/// The ids of "\n" if the tokenizer puts a space of its own before every text (SentencePiece's
/// dummy prefix), which must not appear before a completion; nothing if it does not.
std::vector<int32_t> find_anchor(const text::Tokenizer& tokenizer) {
  std::vector<int32_t> newline = tokenizer.encode("\n");
  const std::vector<int32_t> both = tokenizer.encode("\na");
  if (!begins_with(both, newline)) {
    return {};
  }
  const std::vector<int32_t> alone = tokenizer.encode("a");
  const bool same = std::equal(both.begin() + static_cast<std::ptrdiff_t>(newline.size()),
                               both.end(),
                               alone.begin(),
                               alone.end());
  return same ? std::vector<int32_t>{} : newline;
}

/// Whether the tokenizer itself puts the begin token before a text.
bool adds_bos(const text::Tokenizer& tokenizer) {
  const std::vector<int32_t> ids = tokenizer.encode("a", {.add_special = true});
  return tokenizer.bos() && !ids.empty() && ids.front() == *tokenizer.bos();
}

/// Labels, scores and values of the completions, each a list only if there is one.
void encode_numbers(const PreferenceGroup& group, EncodedGroup& encoded) {
  const size_t K = group.completions.size();
  for (size_t k = 0; k < K; ++k) {
    const Completion& completion = group.completions[k];
    if (completion.label) {
      encoded.labels.resize(K, 0);
      encoded.labels[k] = *completion.label ? 1 : -1;
      if (completion.label_weight != 1) {
        encoded.label_weights.resize(K, 1);
        encoded.label_weights[k] = static_cast<float>(completion.label_weight);
      }
    }
    if (completion.score) {
      encoded.scores.resize(K, std::numeric_limits<float>::quiet_NaN());
      encoded.scores[k] = static_cast<float>(*completion.score);
    }
    for (const auto& [column, value] : completion.values) {
      std::vector<float>& numbers = encoded.values[column];
      numbers.resize(K, std::numeric_limits<float>::quiet_NaN());
      numbers[k] = static_cast<float>(value);
    }
  }
  encoded.tag = group.tag;
}

bool same_tokens(const EncodedGroup& group) {
  return std::any_of(group.comparisons.begin(), group.comparisons.end(), [&](const auto& one) {
    return group.completions[one.winner] == group.completions[one.loser];
  });
}

}  // namespace

Encoder::Encoder(const DataOptions& options,
                 const text::Tokenizer& tokenizer,
                 const text::ChatTemplate* chat_template)
    : options_(options),
      tokenizer_(tokenizer),
      template_(chat_template),
      leads_with_bos_(options.add_bos == "always" ||
                      (options.add_bos == "auto" && adds_bos(tokenizer))),
      anchor_(find_anchor(tokenizer)) {
  check(options.add_bos != "always" || tokenizer.bos(),
        "data.add_bos is always, and the vocabulary names no begin token. Leave it at auto");
  check(!options.add_eos || tokenizer.eos(),
        "data.add_eos is true, and the vocabulary names no end token. Set it to false");
}

Encoded Encoder::encode(const PreferenceGroup& group) const {
  Encoded encoded;
  if (group.conversational) {
    encode_turns(group, encoded);
  } else {
    encode_plain(group, encoded);
  }
  for (const Comparison& one : group.comparisons) {
    encoded.group.comparisons.push_back({one.winner,
                                         one.loser,
                                         static_cast<float>(one.probability),
                                         static_cast<float>(one.weight)});
  }
  encode_numbers(group, encoded.group);
  Truncation truncation = truncate(encoded.group, options_, tokenizer_.bos());
  encoded.truncated = truncation.cut;
  encoded.dropped = std::move(truncation.dropped);
  if (encoded.dropped.empty() && same_tokens(encoded.group)) {
    encoded.dropped = truncation.cut ? "compared completions are equal once cut to the window"
                                     : "compared completions are the same tokens";
  }
  encoded.group.key = content_key(encoded.group);
  return encoded;
}

std::string Encoder::render(const std::vector<text::Message>& turns,
                            bool add_generation_prompt,
                            std::string_view where) const {
  try {
    return template_->render(turns, add_generation_prompt);
  } catch (const Error& e) {
    throw RowError(
        where, "the chat template refuses the conversation", fmt::format(": {}", e.what()));
  }
}

void Encoder::encode_turns(const PreferenceGroup& group, Encoded& encoded) const {
  check(template_ != nullptr,
        "{}: the row is a conversation, and the model has no chat template. Name one in the run "
        "file, or give prompt, chosen and rejected as text",
        group.where);
  const std::string prompt = render(group.messages, /*add_generation_prompt=*/true, group.where);
  encoded.prompt_hash = Hasher().add(prompt).word();
  encoded.group.prompt = tokenizer_.encode(prompt);
  std::vector<text::Message> turns = group.messages;
  for (const Completion& completion : group.completions) {
    turns.resize(group.messages.size());
    turns.insert(turns.end(), completion.messages.begin(), completion.messages.end());
    const std::string whole = render(turns, /*add_generation_prompt=*/false, group.where);
    check(whole.starts_with(prompt),
          "{}: chat template \"{}\" writes the prompt differently once an answer follows, so "
          "that prompt and completion cannot be told apart. Use another template, or plain text",
          group.where,
          template_->name());
    Tokens ids = continuation(std::string_view(whole).substr(prompt.size()));
    end_once(ids, completion.messages.size() == 1, group.where);
    encoded.group.completions.push_back(std::move(ids));
  }
}

void Encoder::encode_plain(const PreferenceGroup& group, Encoded& encoded) const {
  encoded.prompt_hash = Hasher().add(group.prompt).word();
  encoded.group.prompt = plain_prompt(group);
  for (const Completion& completion : group.completions) {
    Tokens ids =
        group.prompt.empty() ? tokenizer_.encode(completion.text) : continuation(completion.text);
    end_once(ids, /*one_turn=*/true, group.where);
    encoded.group.completions.push_back(std::move(ids));
  }
}

std::vector<int32_t> Encoder::plain_prompt(const PreferenceGroup& group) const {
  Tokens ids = tokenizer_.encode(group.prompt);
  const std::optional<int32_t> begin = tokenizer_.bos();
  if (leads_with_bos_ && (ids.empty() || ids.front() != *begin)) {
    ids.insert(ids.begin(), *begin);
  }
  if (ids.empty()) {
    const std::optional<int32_t> first = begin ? begin : tokenizer_.eos();
    if (!first) {
      throw RowError(group.where, "the prompt is empty, and the vocabulary has no begin token");
    }
    ids.push_back(*first);
  }
  return ids;
}

std::vector<int32_t> Encoder::continuation(std::string_view text) const {
  if (anchor_.empty()) {
    return tokenizer_.encode(text);
  }
  const Tokens ids = tokenizer_.encode("\n" + std::string(text));
  if (!begins_with(ids, anchor_)) {
    return tokenizer_.encode(text);
  }
  return {ids.begin() + static_cast<std::ptrdiff_t>(anchor_.size()), ids.end()};
}

void Encoder::end_once(Tokens& completion, bool one_turn, std::string_view where) const {
  const std::vector<int32_t>& ends = tokenizer_.end_of_turn();
  const auto is_end = [&ends](int32_t id) {
    return std::binary_search(ends.begin(), ends.end(), id);
  };
  const auto first = std::find_if(completion.begin(), completion.end(), is_end);
  if (first == completion.end()) {
    if (options_.add_eos) {
      completion.push_back(*tokenizer_.eos());
    }
    if (completion.empty()) {
      throw RowError(where, "a completion has no token");
    }
    return;
  }
  // Behind the end of one turn only the template's white space may follow.
  const std::vector<int32_t> rest(first + 1, completion.end());
  if (one_turn && options_.add_eos && !text::python_strip(tokenizer_.decode(rest)).empty()) {
    throw RowError(where,
                   "an end token stands within a completion",
                   fmt::format(": {}. Take it out of the text", tokenizer_.token_text(*first)));
  }
}

}  // namespace attune::data
