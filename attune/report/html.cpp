#include "attune/report/html.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace attune::report {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::string_view kMinus = "\xE2\x88\x92";

/// Length of the well-formed UTF-8 sequence that `text` starts with; 0 if it is none. Overlong
/// forms, surrogates and what lies past U+10FFFF are none.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0};
  };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const uint8_t first = byte(0);
  const uint8_t second = byte(1);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return follows(1) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    const bool bad = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F);
    return follows(1) && follows(2) && !bad ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool bad = (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
    return follows(1) && follows(2) && follows(3) && !bad ? 4 : 0;
  }
  return 0;
}

std::string with_minus(std::string text) {
  return !text.empty() && text[0] == '-' ? std::string(kMinus) + text.substr(1) : text;
}

/// "5.00e-06" to "5e-6".
std::string scientific(double value) {
  std::string text = fmt::format("{:.2e}", value);
  const size_t at = text.find('e');
  std::string mantissa = text.substr(0, at);
  while (mantissa.back() == '0') {
    mantissa.pop_back();
  }
  if (mantissa.back() == '.') {
    mantissa.pop_back();
  }
  return fmt::format("{}e{}", mantissa, std::stoi(text.substr(at + 1)));
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const char c = text[0];
    const bool forbidden =
        length == 1 && (c == '\x7f' || (c >= 0 && c < ' ' && c != '\n' && c != '\t' && c != '\r'));
    if (length == 0 || forbidden) {
      out += kReplacement;
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

std::string number_text(double value) {
  if (!std::isfinite(value)) {
    return "–";
  }
  const double size = std::abs(value);
  if (size != 0 && (size < 1e-3 || size >= 1e9)) {
    return with_minus(scientific(value));
  }
  if (size >= 999.95) {
    return count_text(std::llround(value));
  }
  if (value == std::round(value)) {
    return count_text(std::llround(value));
  }
  const int decimals = size >= 99.995 ? 1 : size >= 9.9995 ? 2 : size >= 1 ? 3 : 4;
  return with_minus(fmt::format("{:.{}f}", value, decimals));
}

std::string percent_text(double share) {
  const double percent = std::round(share * 1000) / 10;
  const bool whole = percent == std::round(percent);
  return fmt::format("{:.{}f}\u00a0%", percent, whole ? 0 : 1);
}

std::string count_text(int64_t count) {
  std::string digits = std::to_string(count);
  const size_t first = count < 0 ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return with_minus(digits);
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) {
    return "–";
  }
  if (seconds < 59.95) {
    return fmt::format("{:.1f} s", seconds);
  }
  const int64_t whole = std::llround(std::min(seconds, 1e15));
  if (whole < 3600) {
    return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  }
  return fmt::format("{} h {:02} min", count_text(whole / 3600), whole % 3600 / 60);
}

std::string short_number(double value, int decimals) {
  std::string text = fmt::format("{:.{}f}", value, decimals);
  if (text.find('.') != std::string::npos) {
    while (text.back() == '0') {
      text.pop_back();
    }
    if (text.back() == '.') {
      text.pop_back();
    }
  }
  return text == "-0" ? "0" : text;
}

}  // namespace attune::report
