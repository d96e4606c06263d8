// Files of prompts alone, for a model to answer.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "attune/data/row.h"

namespace attune::data {

/// One prompt of a file.
struct PromptRow {
  std::string where;  ///< "file:line"
  Text prompt;        ///< Never empty.
};

/// Reads a file, plain or gzip: one prompt a line, or, if its first line begins with a brace, one
/// JSON object a line, whose prompt (or its other usual names) is text or turns; other fields are
/// passed over, so that rows of preferences will do. Blank lines are passed over.
/// @throws Error if the file cannot be read or has no prompt; RowError for a bad line.
std::vector<PromptRow> read_prompts(const std::filesystem::path& path);

}  // namespace attune::data
