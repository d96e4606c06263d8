// A model with its tokenizer and template, ready to write. Free of torch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attune/generate/options.h"
#include "attune/model/options.h"
#include "attune/text/chat_template.h"
#include "attune/text/tokenizer.h"

namespace attune::model {
class Decoder;
struct Source;
}  // namespace attune::model

namespace attune::generate {

/// What a model wrote after one prompt.
struct Generation {
  std::vector<int32_t> ids;  ///< Without the token that ended it.
  std::string text;
  bool ended = false;  ///< The model ended it; else max_new_tokens or a stop did.
};

/// Hears a new token: which prompt, and the text that it adds (may be empty: a character can take
/// several tokens). False stops all writing.
using OnText = std::function<bool(size_t prompt, const std::string& text)>;

/// Hears that a text is finished. Texts that are begun together end in any order.
using OnDone = std::function<void(size_t prompt, const Generation& text)>;

/// How several prompts are worked on.
struct Together {
  int64_t batch = 0;  ///< Prompts in the works at a time; the next begins where one ends. 0: all.
  OnDone on_done = {};
};

/// A model in memory.
class LanguageModel {
 public:
  /// @param adapter  A PEFT folder; empty: none.
  /// @param threads  0: all cores.
  /// @throws Error as loading does.
  LanguageModel(const model::ModelOptions& options, const std::string& adapter, int64_t threads);
  ~LanguageModel();
  LanguageModel(const LanguageModel&) = delete;
  LanguageModel& operator=(const LanguageModel&) = delete;

  [[nodiscard]] const text::Tokenizer& tokenizer() const;
  /// The template for conversations. @throws Error if the model has none that attune knows.
  [[nodiscard]] const text::ChatTemplate& chat_template() const;
  [[nodiscard]] bool can_chat() const;
  [[nodiscard]] model::Decoder& decoder();
  [[nodiscard]] const model::Source& source() const;
  /// What speaks against this adapter on this model; empty: nothing, or no adapter.
  [[nodiscard]] const std::string& adapter_warning() const;
  /// Longest text, in tokens.
  [[nodiscard]] int64_t max_tokens() const;
  /// Uses the adapter, or the base model only.
  void use_adapter(bool on);

  /// The prompt of a conversation, as ids.
  [[nodiscard]] std::vector<int32_t> prompt_of(std::span<const text::Message> messages) const;
  /// The prompt of a plain text, as ids.
  [[nodiscard]] std::vector<int32_t> prompt_of(const std::string& text) const;

  /// Writes after every prompt, several at once: a step reads the weights once for all of them. The
  /// text of a prompt depends on it, its place in the list and the options, to the last bit, not on
  /// the other prompts nor on `together`. What an earlier single prompt shares with this one is not
  /// computed again; with that the numbers are the same but for rounding.
  /// @throws Error if a prompt is empty or leaves no room in the model's window.
  std::vector<Generation> generate(std::span<const std::vector<int32_t>> prompts,
                                   const GenerateOptions& options,
                                   const OnText& on_text = {},
                                   const Together& together = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace attune::generate
