#include "attune/train/merge.h"

#include "attune/adapter/peft.h"
#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/io/gguf.h"
#include "attune/model/checkpoint.h"
#include "attune/text/tokenizer_writer.h"
#include "attune/train/plan.h"
#include "attune/train/session.h"

namespace attune::train {

namespace fs = std::filesystem;

MergeResult merge_adapter(const MergeOptions& options) {
  const std::string out = options.output.string();
  std::error_code failed;
  check(!fs::exists(options.output) || fs::is_empty(options.output, failed),
        "{}: there is something already; name a new folder",
        out);
  check(fs::exists(options.adapter), "{}: no such file or folder", options.adapter.string());
  const model::Source source = model::open_model(options.model);
  std::optional<text::TokenizerFiles> tokenizer;
  if (source.gguf) {
    tokenizer = text::to_huggingface(io::GgufFile::open(options.model));
  }
  const auto model = model::load_model(source, at::kFloat);
  const auto layers = linear_layers(*model);
  adapter::load_peft(layers, options.adapter);

  MergeResult result;
  result.warning = adapter::base_warning(options.adapter, options.model.string());
  result.weights = all_weights(source.shape);
  for (const auto& [path, linear] : layers) {
    result.adapted += linear->lora.has_value() ? 1 : 0;
  }
  const at::ScalarType dtype = options.dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  write_folder(options.output, [&](const fs::path& folder) {
    model::save_model(*model, source, folder, dtype);
    if (tokenizer) {
      text::write_tokenizer(*tokenizer, folder);
    }
  });
  for (const fs::directory_entry& file : fs::directory_iterator(options.output)) {
    result.bytes += static_cast<int64_t>(file.file_size());
  }
  return result;
}

}  // namespace attune::train
