#include "attune/data/jsonl_reader.h"

#include <nlohmann/json.hpp>

#include "attune/core/error.h"
#include "attune/data/json_row.h"

namespace attune::data {

std::optional<PreferenceGroup> JsonlReader::next() {
  while (const auto line = source_.next_line()) {
    if (line->find_first_not_of(" \t\r") == std::string_view::npos) {
      continue;
    }
    const std::string where = fmt::format("{}:{}", source_.path().string(), source_.line_number());
    return schema_.group_of(parse_row(*line, where), where);
  }
  return std::nullopt;
}

}  // namespace attune::data
