// The one currency of the data side: a prompt, K completions and comparisons between them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "attune/text/chat_template.h"

namespace attune::data {

/// One statement that a completion is better than another.
struct Comparison {
  int32_t winner = 0;          ///< Index into PreferenceGroup::completions.
  int32_t loser = 1;           ///< Index into PreferenceGroup::completions.
  double probability = 1.0;    ///< That the winner is preferred, in [0, 1].
  double weight = 1.0;         ///< Of this comparison in the loss, 0 or more.
  std::string annotator = {};  ///< Who said so; empty: unknown.
};

/// One answer to the prompt.
struct Completion {
  std::string text = {};                     ///< Of a plain group.
  std::vector<text::Message> messages = {};  ///< Of a conversational group: usually one turn.
  std::optional<double> score = {};  ///< Higher is better; comparable within its group only.
  std::optional<bool> label = {};    ///< Unpaired feedback: desirable or not.
  double label_weight = 1.0;         ///< Of the label in the loss, 0 or more.
  std::map<std::string, double> values = {};  ///< By column of data.values; each of them is there.
};

/// One prompt with its completions.
struct PreferenceGroup {
  bool conversational = false;               ///< Messages carry the text, else strings.
  std::string prompt = {};                   ///< Of a plain group.
  std::vector<text::Message> messages = {};  ///< Prompt of a conversational group.
  std::vector<Completion> completions = {};  ///< K of them, at least one.
  std::vector<Comparison> comparisons = {};
  std::map<std::string, std::string> tags = {};  ///< "task", "source", "type" of the row.
  std::string tag = {};                          ///< What data.tag's column says; empty: no such.
  std::string where = {};                        ///< "file:line" of the row.
};

}  // namespace attune::data
