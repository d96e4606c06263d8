// Held-out prompts to answer before and after training. Free of torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attune/core/progress.h"
#include "attune/train/run_options.h"

namespace attune::train {

/// A prompt of the held-out pairs.
struct HeldOutPrompt {
  std::vector<int32_t> ids;  ///< As training sees it.
  std::string text;          ///< The last user's words, or the plain prompt.
  std::string chosen;        ///< The preferred answer of the data, or its labelled one.
};

/// The first `count` held-out prompts of a run, in the order of the data.
std::vector<HeldOutPrompt> held_out_prompts(const RunOptions& run, size_t count, Watcher& watcher);

}  // namespace attune::train
