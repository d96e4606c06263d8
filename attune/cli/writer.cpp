#include "attune/cli/writer.h"

#include <cstdio>

#include <fmt/format.h>

#include "attune/cli/run_line.h"
#include "attune/core/error.h"

namespace attune::cli {

std::unique_ptr<generate::LanguageModel> open_writer(const std::string& path,
                                                     const WriterOptions& options) {
  check_path("model", path);
  check_path("--adapter", options.adapter);
  model::ModelOptions model;
  model.path = path;
  model.precision = options.precision;
  model.chat_template = options.chat_template;
  auto writer = std::make_unique<generate::LanguageModel>(model, options.adapter, options.threads);
  if (!writer->adapter_warning().empty()) {
    put(stderr, fmt::format("warning: {}\n", writer->adapter_warning()));
  }
  return writer;
}

std::vector<text::Message> opening(const WriterOptions& options) {
  std::vector<text::Message> messages;
  if (!options.system.empty()) {
    messages.push_back({"system", options.system});
  }
  return messages;
}

Prompter::Prompter(const generate::LanguageModel& model, const WriterOptions& options, bool plain)
    : model_(model), options_(options), plain_(plain || !model.can_chat()) {
  check(!plain_ || options.system.empty(), "--system has no meaning without a chat template");
}

std::vector<int32_t> Prompter::ids_of(const std::string& words) const {
  if (plain_) {
    return model_.prompt_of(words);
  }
  std::vector<text::Message> messages = opening(options_);
  messages.push_back({"user", words});
  return model_.prompt_of(messages);
}

std::vector<int32_t> Prompter::ids_of(const data::PromptRow& row) const {
  std::vector<int32_t> ids = row.prompt.is_turns ? ids_of_turns(row) : ids_of(row.prompt.plain);
  check(!ids.empty(), "{}: the prompt is empty", row.where);
  check(static_cast<int64_t>(ids.size()) < model_.max_tokens(),
        "{}: {} tokens leave no room for an answer; the model was made for {}",
        row.where,
        ids.size(),
        model_.max_tokens());
  return ids;
}

std::vector<int32_t> Prompter::ids_of_turns(const data::PromptRow& row) const {
  const std::vector<text::Message>& turns = row.prompt.turns;
  check(!plain_,
        "{}: the prompt is a conversation; {}",
        row.where,
        model_.can_chat() ? "--plain continues plain text only"
                          : "the model brings no chat template; name one, for instance "
                            "--chat-template=chatml");
  check(turns.back().role == "user",
        "{}: the last turn of the prompt must be the user's, got {}",
        row.where,
        turns.back().role);
  const bool own_system = turns.front().role == "system";
  check(!own_system || options_.system.empty(),
        "{}: the prompt has a system message of its own, and --system gives another",
        row.where);
  std::vector<text::Message> messages = opening(options_);
  messages.insert(messages.end(), turns.begin(), turns.end());
  return model_.prompt_of(messages);
}

}  // namespace attune::cli
