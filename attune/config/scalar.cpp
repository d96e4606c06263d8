#include "attune/config/scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace attune::config {
namespace {

template <class T>
std::optional<T> parse_whole_text(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-') || text.starts_with('+')) {
      return std::nullopt;
    }
  }
  T value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// Words that YAML readers take for nothing or for a truth value, in small letters.
constexpr std::array<std::string_view, 10> kTaken{
    "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n"};

// Bare texts are kept to characters with no meaning in YAML anywhere, and to texts that other
// readers do not take for something else.
bool is_bare(std::string_view text) {
  constexpr std::string_view kInside = "_-./+~@=";
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  std::string small;
  for (const char c : text) {
    if (!is_word(c) && kInside.find(c) == kInside.npos) {
      return false;
    }
    small += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  const bool looks_like_number =
      parse_number(text) || text.starts_with("0x") || small == ".nan" || small == ".inf";
  return !text.empty() &&
         (is_word(text[0]) || text[0] == '/' || text[0] == '.' || text[0] == '_') &&
         text != "..." && !looks_like_number && std::ranges::find(kTaken, small) == kTaken.end();
}

}  // namespace

std::optional<bool> parse_bool(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") {
    return true;
  }
  if (text == "false" || text == "False" || text == "FALSE") {
    return false;
  }
  return std::nullopt;
}

std::optional<int64_t> parse_whole(std::string_view text) {
  return parse_whole_text<int64_t>(text);
}

std::optional<double> parse_number(std::string_view text) {
  const std::optional<double> value = parse_whole_text<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

std::string yaml_text(std::string_view text) {
  if (is_bare(text)) {
    return std::string(text);
  }
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_control(c)) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string quoted_for_message(std::string_view text) {
  constexpr size_t kLongest = 60;
  std::string shown(text.substr(0, kLongest));
  std::ranges::replace_if(shown, is_control, '.');
  if (text.size() > kLongest) {
    shown += "...";
  }
  return shown.empty() || shown.find(' ') != shown.npos ? fmt::format("\"{}\"", shown) : shown;
}

}  // namespace attune::config
