// attune merge: an adapter folded into its model.
#include "attune/train/merge.h"

#include <string>

#include <fmt/format.h>

#include "attune/cli/command_line.h"
#include "attune/cli/engine_commands.h"
#include "attune/cli/run_line.h"
#include "attune/cli/terminal.h"

namespace attune::cli {
namespace {

constexpr Usage kUsage{
    .name = "merge",
    .synopsis = "MODEL ADAPTER OUT",
    .about =
        "Writes MODEL with ADAPTER folded into its weights to the new folder OUT: config.json, "
        "model.safetensors and the tokenizer's files, which transformers and attune load. MODEL is "
        "a Hugging Face folder or a .gguf file, ADAPTER a PEFT folder. A quantised model is "
        "written as wide as --dtype says.",
    .examples =
        "attune merge model.gguf out/adapter merged/\n"
        "attune merge model/ out/adapter merged/ --dtype=bf16",
    .least = 3,
    .most = 3};

struct DtypeOptions {
  std::string dtype = "f32";

  template <class Visitor>
  void fields(Visitor&& field) {
    field("dtype", dtype, {.help = "how weights are written", .one_of = {"f32", "bf16"}});
  }
};

}  // namespace

int merge_command(Arguments arguments) {
  DtypeOptions options;
  CommandLine line(kUsage);
  line.add(options);
  if (!line.parse(arguments)) {
    return kGood;
  }
  check_path("model", line.positional(0));
  check_path("adapter", line.positional(1));
  const std::string out = line.positional(2);
  const train::MergeResult result = train::merge_adapter({.model = line.positional(0),
                                                          .adapter = line.positional(1),
                                                          .output = out,
                                                          .dtype = options.dtype});
  if (!result.warning.empty()) {
    Terminal(line.log()).warn(result.warning);
  }
  fmt::print("merged {} adapted layers into {}: {} weights in {}, {}\n",
             result.adapted,
             out,
             count_text(result.weights),
             options.dtype,
             size_text(result.bytes));
  fmt::print("go on with:\n  attune chat {0}\n", out);
  return kGood;
}

}  // namespace attune::cli
