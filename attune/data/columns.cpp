#include <algorithm>

#include "attune/core/error.h"
#include "attune/core/hint.h"
#include "attune/data/row.h"

namespace attune::data {
namespace {

struct Known {
  std::string_view field;
  std::vector<std::string> columns;
};

/// Every field of a row and the columns that hold it without a mapping.
const std::vector<Known>& known_fields() {
  static const std::vector<Known> known = {
      {"annotator", {"annotator", "annotator_id"}},
      {"chosen", {"chosen", "chosen_messages"}},
      {"completion", {"completion"}},
      {"completion_a", {"completion_a"}},
      {"completion_b", {"completion_b"}},
      {"completions", {"completions"}},
      {"input", {"input"}},
      {"label", {"label", "kto_tag"}},
      {"losers", {"yl_idxs", "losers"}},
      {"margin", {"margin"}},
      {"preferred", {"preferred"}},
      {"probability", {"probability", "preference_prob", "p"}},
      {"prompt", {"prompt", "conversations", "messages", "instruction"}},
      {"ranking", {"ranking"}},
      {"rejected", {"rejected", "rejected_messages"}},
      {"score", {"score"}},
      {"score_a", {"score_a"}},
      {"score_b", {"score_b"}},
      {"score_chosen", {"score_chosen", "chosen_score"}},
      {"score_rejected", {"score_rejected", "rejected_score"}},
      {"scores", {"scores"}},
      {"source", {"source"}},
      {"system", {"system"}},
      {"task", {"task"}},
      {"type", {"type"}},
      {"weight", {"weight"}},
      {"winners", {"yw_idxs", "winners"}},
  };
  return known;
}

}  // namespace

Columns::Columns(const std::map<std::string, std::string>& mapping) : mapping_(mapping) {
  std::vector<std::string_view> names;
  for (const Known& known : known_fields()) {
    candidates_.emplace(known.field, known.columns);
    names.push_back(known.field);
  }
  for (const auto& [field, column] : mapping) {
    const auto at = candidates_.find(field);
    check(at != candidates_.end(),
          "data.columns: no field \"{}\".{} Write attune's name first: chosen: {}",
          field,
          did_you_mean(field, names),
          column);
    check(!column.empty(), "data.columns: field \"{}\" is mapped to no column", field);
    at->second = {column};
  }
}

const std::vector<std::string>& Columns::of(std::string_view field) const {
  const auto at = candidates_.find(field);
  ensure(at != candidates_.end(), "Columns: no field {}", field);
  return at->second;
}

bool Columns::is_known(std::string_view column) const {
  return std::any_of(candidates_.begin(), candidates_.end(), [column](const auto& one) {
    return std::find(one.second.begin(), one.second.end(), column) != one.second.end();
  });
}

bool Columns::mapped(std::string_view field) const {
  return mapping_.contains(std::string(field));
}

}  // namespace attune::data
