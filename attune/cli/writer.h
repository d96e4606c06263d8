// A model that is to write, and prompts as it wants them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "attune/core/field.h"
#include "attune/data/prompts.h"
#include "attune/generate/language_model.h"

namespace attune::cli {

/// Which model is to write.
struct WriterOptions {
  std::string adapter;
  std::string chat_template = "auto";
  std::string precision = "f32";
  std::string system;
  int64_t threads = 0;

  template <class Visitor>
  void fields(Visitor&& field) {
    field("adapter", adapter, {.help = "PEFT adapter folder; empty is the model alone"});
    field("chat_template",
          chat_template,
          {.help = "auto (what the model brings) or a name, for instance chatml"});
    field("precision",
          precision,
          {.help = "how weights are kept in memory", .one_of = {"f32", "bf16"}});
    field("system", system, {.help = "the system message; empty is the template's own"});
    field("threads", threads, {.help = "CPU threads; 0 is all", .at_least = 0, .at_most = 1024});
  }
};

/// Opens the model, with a warning on stderr if the adapter is of another.
/// @throws Error as opening does.
std::unique_ptr<generate::LanguageModel> open_writer(const std::string& path,
                                                     const WriterOptions& options);

/// What every conversation begins with.
std::vector<text::Message> opening(const WriterOptions& options);

/// Messages or plain text as ids, as the options want it.
class Prompter {
 public:
  /// @param plain  without the chat template.
  /// @throws Error for a system message without a template.
  Prompter(const generate::LanguageModel& model, const WriterOptions& options, bool plain);

  [[nodiscard]] std::vector<int32_t> ids_of(const std::string& words) const;
  /// A row of a file. @throws Error naming the row if it does not fit the model.
  [[nodiscard]] std::vector<int32_t> ids_of(const data::PromptRow& row) const;

 private:
  [[nodiscard]] std::vector<int32_t> ids_of_turns(const data::PromptRow& row) const;

  const generate::LanguageModel& model_;
  const WriterOptions& options_;
  bool plain_;
};

}  // namespace attune::cli
