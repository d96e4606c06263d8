// Groups of text to groups of token ids: prompt and completions tokenised once, one end token.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attune/data/encoded_group.h"
#include "attune/data/options.h"
#include "attune/data/preference_group.h"
#include "attune/text/chat_template.h"
#include "attune/text/tokenizer.h"

namespace attune::data {

/// A group as token ids, and what became of it.
struct Encoded {
  EncodedGroup group;
  uint64_t prompt_hash = 0;  ///< Of the prompt's text, before truncation.
  bool truncated = false;    ///< Tokens were lost to the window.
  std::string dropped;       ///< Why the group cannot be used; empty: it can.
};

/// Tokenises groups. Immutable: encode() may be called from several threads.
///
/// Conversational: the prompt is the template's text with the generation prompt; a completion is
/// what the template adds to it for the completion's turns, as it stands: in ChatML "...<|im_end|>"
/// and the newline behind it. That newline is kept because it is what the model saw in every
/// conversation, and because TRL scores it, too; its log-probability is the same for all sides but
/// for noise. Plain: the end token follows the completion unless the text has it; the begin token
/// leads the prompt if options.add_bos says so and the text has none. An empty plain prompt becomes
/// the begin token, or the end token of a vocabulary without one.
class Encoder {
 public:
  /// @param chat_template  Null: conversational groups are an error.
  /// @throws Error  If an option asks for a token that the vocabulary does not name.
  Encoder(const DataOptions& options,
          const text::Tokenizer& tokenizer,
          const text::ChatTemplate* chat_template);

  /// @throws RowError  If the template refuses the turns, or an end token stands within a
  ///                   completion.
  /// @throws Error     If there is no template, or its text for the prompt is not how its text for
  ///                   the conversation begins.
  Encoded encode(const PreferenceGroup& group) const;

 private:
  using Tokens = std::vector<int32_t>;

  [[nodiscard]] std::string render(const std::vector<text::Message>& turns,
                                   bool add_generation_prompt,
                                   std::string_view where) const;
  [[nodiscard]] Tokens continuation(std::string_view text) const;
  [[nodiscard]] Tokens plain_prompt(const PreferenceGroup& group) const;
  void end_once(Tokens& completion, bool one_turn, std::string_view where) const;
  void encode_turns(const PreferenceGroup& group, Encoded& encoded) const;
  void encode_plain(const PreferenceGroup& group, Encoded& encoded) const;

  DataOptions options_;
  const text::Tokenizer& tokenizer_;
  const text::ChatTemplate* template_;
  bool leads_with_bos_ = false;  ///< Plain prompts begin with the begin token.
  Tokens anchor_;  ///< Ids of "\n" if the tokenizer puts a space before a text; else none.
};

}  // namespace attune::data
