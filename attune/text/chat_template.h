// A conversation as one text, the way a model was taught. attune has no Jinja engine: it knows the
// templates of the common families and writes exactly what Jinja would write for them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attune/text/tokenizer.h"

namespace attune::text {

/// One turn of a conversation.
struct Message {
  std::string role;     ///< "system", "user" or "assistant"
  std::string content;  ///< plain text
};

/// A way to write a conversation.
class ChatTemplate {
 public:
  struct Family;

  /// The template that the tokenizer came with. @throws Error if it has none, or an unknown one.
  static ChatTemplate of(const Tokenizer& tokenizer);

  /// The family of a template, by its Jinja text. `bos` and `eos` are what the template's
  /// bos_token and eos_token stand for.
  /// @throws Error if attune does not know it; the message says which there are.
  static ChatTemplate recognise(std::string_view jinja, std::string_view bos, std::string_view eos);
  static ChatTemplate recognise(std::string_view jinja, const Tokenizer& tokenizer);

  /// A template by its name (see `names`). @throws Error for an unknown name.
  static ChatTemplate named(std::string_view name, std::string_view bos, std::string_view eos);
  static ChatTemplate named(std::string_view name, const Tokenizer& tokenizer);

  /// Every name that `named` takes, in alphabetical order.
  static std::vector<std::string_view> names();

  /// The conversation as text; `add_generation_prompt` ends it where the assistant's next words
  /// begin. @throws Error where the template itself refuses (roles that do not alternate).
  std::string render(std::span<const Message> messages, bool add_generation_prompt) const;

  /// The template's name, as `named` takes it.
  std::string name() const;

 private:
  ChatTemplate(const Family& family, std::string_view bos, std::string_view eos);

  const Family* family_;
  std::string bos_;
  std::string eos_;
};

}  // namespace attune::text
