#include "attune/text/chat_template.h"

#include <algorithm>
#include <array>

#include "attune/core/error.h"
#include "attune/core/hint.h"
#include "attune/text/chat_families.h"
#include "attune/text/normalizer.h"

namespace attune::text {

namespace {

constexpr std::string_view kHow =
    "Name the one it is nearest to in the run file (model.chat_template: chatml).";

std::string text_of(const Tokenizer& tokenizer, std::optional<int32_t> id) {
  return id ? tokenizer.token_text(*id) : std::string();
}

bool belongs(const ChatTemplate::Family& family, std::string_view jinja) {
  const auto there = [&](std::string_view mark) {
    return jinja.find(mark) != std::string_view::npos;
  };
  return !family.marks.empty() && std::all_of(family.marks.begin(), family.marks.end(), there) &&
         std::none_of(family.foreign.begin(), family.foreign.end(), there);
}

}  // namespace

ChatTemplate::ChatTemplate(const Family& family, std::string_view bos, std::string_view eos)
    : family_(&family), bos_(bos), eos_(eos) {}

std::vector<std::string_view> ChatTemplate::names() {
  std::vector<std::string_view> names;
  for (const Family& family : chat_families()) {
    names.push_back(family.name);
  }
  return names;
}

ChatTemplate ChatTemplate::of(const Tokenizer& tokenizer) {
  return recognise(tokenizer.chat_template(), tokenizer);
}

ChatTemplate ChatTemplate::recognise(std::string_view jinja, const Tokenizer& tokenizer) {
  return recognise(jinja, text_of(tokenizer, tokenizer.bos()), text_of(tokenizer, tokenizer.eos()));
}

ChatTemplate ChatTemplate::recognise(std::string_view jinja,
                                     std::string_view bos,
                                     std::string_view eos) {
  const std::string known = fmt::format("{}", fmt::join(names(), ", "));
  check(!jinja.empty(),
        "chat template: the model has none; attune knows {}. {} \"none\" writes the messages' "
        "contents and nothing else.",
        known,
        kHow);
  const std::string text = replaced(jinja, "\\n", "\n");
  for (const Family& family : chat_families()) {
    if (belongs(family, text)) {
      return ChatTemplate(family, bos, eos);
    }
  }
  check(text.find("strftime_now") == std::string::npos,
        "chat template: the model's template writes today's date, and no run could be repeated. "
        "Name \"llama3.1\" for the same text with a fixed date; attune knows {}.",
        known);
  throw Error(
      fmt::format("chat template: the model's template is none of those that attune knows ({}). {}",
                  known,
                  kHow));
}

ChatTemplate ChatTemplate::named(std::string_view name,
                                 std::string_view bos,
                                 std::string_view eos) {
  for (const Family& family : chat_families()) {
    if (family.name == name) {
      return ChatTemplate(family, bos, eos);
    }
  }
  const auto known = names();
  throw Error(fmt::format("chat template: there is no \"{}\".{} attune knows {}.",
                          name,
                          did_you_mean(name, known),
                          fmt::join(known, ", ")));
}

ChatTemplate ChatTemplate::named(std::string_view name, const Tokenizer& tokenizer) {
  return named(name, text_of(tokenizer, tokenizer.bos()), text_of(tokenizer, tokenizer.eos()));
}

std::string ChatTemplate::render(std::span<const Message> messages,
                                 bool add_generation_prompt) const {
  check(!messages.empty(), "chat template: a conversation needs at least one message.");
  constexpr std::array<std::string_view, 3> kRoles = {"system", "user", "assistant"};
  for (const Message& message : messages) {
    check(std::find(kRoles.begin(), kRoles.end(), message.role) != kRoles.end(),
          "chat template: no role \"{}\", expected system, user or assistant.{}",
          message.role,
          did_you_mean(message.role, kRoles));
  }
  return family_->render({.messages = messages,
                          .bos = bos_,
                          .eos = eos_,
                          .add_generation_prompt = add_generation_prompt});
}

std::string ChatTemplate::name() const {
  return std::string(family_->name);
}

}  // namespace attune::text
