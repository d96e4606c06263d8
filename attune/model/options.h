#pragma once

#include <string>

#include "attune/core/field.h"

namespace attune::model {

/// The `model` section: what is tuned, and how its weights are kept.
struct ModelOptions {
  std::string path;                    ///< Hugging Face folder or GGUF file; required.
  std::string precision = "f32";       ///< How frozen weights are kept: f32 or bf16.
  std::string chat_template = "auto";  ///< "auto" or the name of a known template.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("path", path, {.help = "Hugging Face folder or .gguf file; required"});
    field("precision",
          precision,
          {.help = "how frozen weights are kept in memory; sums are always f32",
           .one_of = {"f32", "bf16"}});
    field("chat_template",
          chat_template,
          {.help = "how conversations become text: auto (what the model brings) or a name, for "
                   "instance chatml"});
  }
};

}  // namespace attune::model
