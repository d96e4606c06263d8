// Answers to a file of prompts.
#pragma once

#include <cstdint>
#include <string>

#include "attune/cli/terminal.h"
#include "attune/cli/writer.h"
#include "attune/core/field.h"
#include "attune/generate/options.h"

namespace attune::cli {

/// What `generate` continues.
struct PromptOptions {
  std::string prompts;
  std::string output;
  int64_t batch = 8;
  bool plain = false;

  template <class Visitor>
  void fields(Visitor&& field) {
    field("prompts",
          prompts,
          {.help = "file of prompts: one a line, or JSON objects with a field prompt"});
    field("output", output, {.help = "file for the answers to --prompts; empty is stdout"});
    field("batch",
          batch,
          {.help = "prompts of the file that are in the works at a time",
           .at_least = 1,
           .at_most = 4096});
    field("plain", plain, {.help = "continue the text as it is, without the chat template"});
  }
};

/// Answers every prompt of options.prompts, one JSON line each, in the order of the file.
/// @return The exit code.
/// @throws Error naming file and line for a prompt that cannot be.
int answer_file(const std::string& model_path,
                const WriterOptions& writer,
                const PromptOptions& prompt,
                const generate::GenerateOptions& options,
                LogKind log);

}  // namespace attune::cli
