#include "attune/data/prompts.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "attune/data/json_row.h"
#include "attune/data/row_error.h"
#include "attune/io/gzip.h"
#include "attune/text/unicode.h"

namespace attune::data {

namespace fs = std::filesystem;

namespace {

Text prompt_of_row(std::string_view line, const std::string& where, const Columns& columns) {
  const nlohmann::json object = parse_row(line, where);
  const Row row(object, where, columns);
  std::optional<Text> prompt = read_prompt(row);
  return prompt ? *std::move(prompt) : row.text("prompt");  // the latter says what is missing
}

Text prompt_of_line(std::string_view line, const std::string& where) {
  Text prompt;
  prompt.plain = line;
  const auto control = std::ranges::find_if(line, [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
  if (control != line.end()) {
    throw RowError(where,
                   fmt::format("expected text, got the control character 0x{:02x}",
                               static_cast<unsigned>(static_cast<unsigned char>(*control))));
  }
  if (!text::is_utf8(line)) {
    throw RowError(
        where, "expected text in UTF-8", fmt::format(", got \"{}\"", text::repaired_utf8(line)));
  }
  return prompt;
}

}  // namespace

std::vector<PromptRow> read_prompts(const std::filesystem::path& path) {
  const Columns columns({});
  std::error_code failed;
  check(!fs::exists(path, failed) || fs::is_regular_file(path),
        "{}: expected a file, got {}",
        path.string(),
        fs::is_directory(path) ? "a folder" : "a device or a pipe. Save the prompts in a file");
  io::TextSource source(path);
  std::vector<PromptRow> rows;
  bool objects = false;
  while (auto line = source.next_line()) {
    const size_t begin = line->find_first_not_of(" \t");
    if (begin == std::string_view::npos) {
      continue;
    }
    objects = rows.empty() ? (*line)[begin] == '{' : objects;
    std::string where = fmt::format("{}:{}", path.string(), source.line_number());
    if (rows.empty() && (line->starts_with("[{") || *line == "[")) {
      throw RowError(where, "a JSON array; expected one JSON object a line, or one prompt a line");
    }
    Text prompt = objects ? prompt_of_row(*line, where, columns) : prompt_of_line(*line, where);
    if (!prompt.is_turns && prompt.plain.empty()) {
      throw RowError(where, "the prompt is empty");
    }
    rows.push_back({std::move(where), std::move(prompt)});
  }
  check(!rows.empty(), "{}: there is no prompt in this file", path.string());
  return rows;
}

}  // namespace attune::data
