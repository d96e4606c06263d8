#include "attune/train/samples.h"

#include <map>
#include <memory>

#include "attune/core/error.h"
#include "attune/data/reader.h"
#include "attune/model/checkpoint.h"
#include "attune/train/session.h"

namespace attune::train {
namespace {

std::string words_of(const data::PreferenceGroup& group) {
  if (!group.conversational) {
    return group.prompt;
  }
  return group.messages.empty() ? "" : group.messages.back().content;
}

std::string words_of(const data::Completion& completion) {
  return completion.messages.empty() ? completion.text : completion.messages.back().content;
}

}  // namespace

std::vector<HeldOutPrompt> held_out_prompts(const RunOptions& run, size_t count, Watcher& watcher) {
  const auto tokenizer = text::Tokenizer::load(run.model.path);
  const model::Source source = model::open_model(run.model.path);
  const RunData data = open_data(run, source.shape, *tokenizer, watcher);
  const data::TokenCache& cache = data.held_out_cache();
  std::map<std::string, size_t> wanted;  // where a row stands -> its place in the result
  std::vector<HeldOutPrompt> prompts;
  for (const int64_t i : data.held_out) {
    if (prompts.size() < count) {
      wanted.emplace(cache.where(i), prompts.size());
      prompts.push_back({.ids = cache.group(i).prompt, .text = {}, .chosen = {}});
    }
  }
  for (const std::string& file : data.other_held_out ? run.data.held_out : run.data.train) {
    const std::unique_ptr<data::Reader> reader = data::open_reader(file, run.data);
    for (size_t found = 0; found < wanted.size();) {
      std::optional<data::PreferenceGroup> group;
      try {
        group = reader->next();
      } catch (const Error&) {
        continue;  // a bad row was counted when the cache was made
      }
      if (!group) {
        break;
      }
      if (const auto at = wanted.find(group->where); at != wanted.end()) {
        HeldOutPrompt& prompt = prompts[at->second];
        prompt.text = words_of(*group);
        const size_t best = group->comparisons.empty()
                                ? 0  // the labelled one
                                : static_cast<size_t>(group->comparisons[0].winner);
        prompt.chosen = words_of(group->completions.at(best));
        ++found;
      }
    }
  }
  return prompts;
}

}  // namespace attune::train
