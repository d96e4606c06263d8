#include "attune/data/truncation.h"

#include <algorithm>

#include "attune/core/error.h"

namespace attune::data {
namespace {

using Tokens = std::vector<int32_t>;

size_t longest(const std::vector<Tokens>& completions) {
  size_t most = 0;
  for (const Tokens& completion : completions) {
    most = std::max(most, completion.size());
  }
  return most;
}

void cut_completions(EncodedGroup& group, size_t most) {
  for (Tokens& completion : group.completions) {
    completion.resize(std::min(completion.size(), most));
  }
}

void cut_prompt_left(Tokens& prompt, size_t keep, std::optional<int32_t> bos) {
  const bool keeps_bos = bos && prompt.front() == *bos && keep >= 2;
  const size_t head = keeps_bos ? 1 : 0;
  const auto cut = static_cast<std::ptrdiff_t>(prompt.size() - keep);
  prompt.erase(prompt.begin() + static_cast<std::ptrdiff_t>(head),
               prompt.begin() + static_cast<std::ptrdiff_t>(head) + cut);
}

}  // namespace

Truncation truncate(EncodedGroup& group, const DataOptions& options, std::optional<int32_t> bos) {
  const auto window = static_cast<size_t>(options.window());
  const auto most = static_cast<size_t>(
      std::min(options.max_completion_tokens.value_or(options.window()), options.window() - 1));
  Truncation result;
  if (longest(group.completions) > most) {
    if (options.long_completion == "drop") {
      result.dropped = fmt::format("a completion is longer than {} tokens", most);
      return result;
    }
    cut_completions(group, most);
    result.cut = true;
  }
  const size_t completion = longest(group.completions);
  if (group.prompt.size() + completion <= window) {
    return result;
  }
  result.cut = true;
  const size_t keep = window - completion;  // at least 1, since completion <= window - 1
  if (options.truncation == "prompt_left") {
    cut_prompt_left(group.prompt, keep, bos);
  } else if (options.truncation == "prompt_right") {
    group.prompt.resize(keep);
  } else if (options.truncation == "drop") {
    result.dropped = fmt::format("prompt and completion are longer than {} tokens", window);
  } else if (group.prompt.size() >= window) {
    result.dropped = fmt::format("the prompt alone fills the {} tokens", window);
  } else {
    cut_completions(group, window - group.prompt.size());
  }
  return result;
}

}  // namespace attune::data
