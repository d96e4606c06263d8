#pragma once

#include <string>

#include "attune/core/field.h"

namespace attune::model {

/// The `model` section: what is tuned, and how its weights are kept.
struct ModelOptions {
  std::string path;                    ///< Hugging Face folder or GGUF file; required.
  std::string precision = "auto";      ///< auto, f32 or bf16: of weights and products.
  std::string chat_template = "auto";  ///< "auto" or the name of a known template.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("path", path, {.help = "Hugging Face folder or .gguf file; required"});
    field("precision",
          precision,
          {.help = "auto: weights and forward products in f32, backward products from bf16 numbers "
                   "where the machine is faster so. f32: everything. bf16: frozen weights, and "
                   "products in both passes where that is faster; log-ratios get noisy. Sums are "
                   "always f32",
           .one_of = {"auto", "f32", "bf16"}});
    field("chat_template",
          chat_template,
          {.help = "how conversations become text: auto (what the model brings) or a name, for "
                   "instance chatml"});
  }
};

}  // namespace attune::model
