// Single values as texts: strict reading, and writing that reads back exactly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace attune::config {

/// `true` or `false` in YAML's three spellings of case; nothing for anything else (`yes`, `1`).
std::optional<bool> parse_bool(std::string_view text);

/// A decimal whole number that fits, with an optional sign; nothing for anything else (`8.0`).
std::optional<int64_t> parse_whole(std::string_view text);

/// A finite decimal number with an optional sign and exponent; nothing for anything else.
std::optional<double> parse_number(std::string_view text);

/// `text` as YAML that reads back as this very text: bare where that is safe, quoted else.
std::string yaml_text(std::string_view text);

/// `text` as an error message shows it: cut to 60 characters, control characters as dots, quoted
/// when it is empty or has spaces.
std::string quoted_for_message(std::string_view text);

}  // namespace attune::config
