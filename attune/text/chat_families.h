// The chat templates that attune writes by itself, one entry a family.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attune/text/chat_template.h"

namespace attune::text {

/// What a family's function gets: never an empty conversation, and known roles only.
struct ChatInput {
  std::span<const Message> messages;
  std::string_view bos;
  std::string_view eos;
  bool add_generation_prompt;
};

/// One family of templates.
struct ChatTemplate::Family {
  std::string_view name;
  /// Texts that all stand in the family's Jinja text ("\n" escapes read as newlines).
  std::vector<std::string_view> marks;
  /// Texts that mark a variant which is written differently.
  std::vector<std::string_view> foreign;
  std::string (*render)(const ChatInput& input);
};

/// All families, in alphabetical order.
const std::vector<ChatTemplate::Family>& chat_families();

}  // namespace attune::text
