#include "attune/data/json_row.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "attune/data/row_error.h"
#include "attune/io/json.h"
#include "attune/text/unicode.h"

namespace attune::data {
namespace {

/// Offset of the first byte that is no UTF-8.
std::optional<size_t> invalid_byte(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const text::Character character = text::character_at(text, at);
    if (!character.valid) {
      return at;
    }
    at += character.size;
  }
  return std::nullopt;
}

/// "unexpected end of input" out of all that the parser says.
std::string short_reason(const nlohmann::json::exception& error) {
  std::string text = io::json_reason(error);
  for (const auto& [word, end] : {std::pair{"at line ", ": "}, {"syntax error ", " - "}}) {
    const size_t at = text.find(word);
    const size_t last = text.find(end, std::min(at, text.size()));
    text.erase(0, last == std::string::npos ? 0 : last + std::string_view(end).size());
  }
  return text;
}

[[noreturn]] void fail(std::string_view text,
                       std::string_view where,
                       const nlohmann::json::exception& error) {
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    throw RowError(
        where,
        "a NUL byte",
        fmt::format(" at byte {}. Is the file UTF-16, or damaged? attune reads UTF-8", nul + 1));
  }
  if (const auto at = invalid_byte(text)) {
    throw RowError(where,
                   "invalid UTF-8",
                   fmt::format(" at byte {}: 0x{:02x}. Save the file as UTF-8",
                               *at + 1,
                               static_cast<unsigned char>(text[*at])));
  }
  const auto* syntax = dynamic_cast<const nlohmann::json::parse_error*>(&error);
  const size_t column = syntax != nullptr ? syntax->byte : 0;
  throw RowError(where,
                 "invalid JSON",
                 fmt::format("{}: {}{}",
                             column > 0 ? fmt::format(" at column {}", column) : "",
                             short_reason(error),
                             column > text.size() ? ". A row must stand whole on one line" : ""));
}

}  // namespace

nlohmann::json parse_row(std::string_view text, std::string_view where) {
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::string> keys;  // of the row itself
  std::string twice;
  const auto watch = [&keys, &twice](int depth, Event event, const nlohmann::json& parsed) {
    if (event == Event::key && depth == 1) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (std::find(keys.begin(), keys.end(), key) != keys.end()) {
        twice = key;
      }
      keys.push_back(key);
    }
    return true;
  };
  nlohmann::json row;
  try {
    row = nlohmann::json::parse(text.begin(), text.end(), watch);
  } catch (const nlohmann::json::exception& e) {
    fail(text, where, e);
  }
  if (!twice.empty()) {
    throw RowError(where, "a field stands twice", fmt::format(": \"{}\"", twice));
  }
  if (!row.is_object()) {
    throw RowError(where, "a row must be an object", fmt::format(", got {}", io::json_type(row)));
  }
  return row;
}

}  // namespace attune::data
