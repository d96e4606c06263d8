// Text and numbers as the page writes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace attune::report {

/// Text for HTML, inside elements and quoted attributes alike. Bytes that are not UTF-8, and
/// control characters that HTML forbids, become U+FFFD.
std::string escaped(std::string_view text);

/// About four significant digits with a real minus sign: "0.6931", "−12.34", "1,905", "5e-6".
/// "–" if the value is not finite.
std::string number_text(double value);

/// "91 %", with a decimal if the share is not a whole percentage: "48.6 %". The space does not
/// break.
std::string percent_text(double share);

/// "12,345".
std::string count_text(int64_t count);

/// "8.4 s", "4 min 12 s", "1 h 03 min".
std::string duration_text(double seconds);

/// A coordinate or a plain number in as few letters as `decimals` allow: "12.5", "3", "-0.25".
std::string short_number(double value, int decimals);

}  // namespace attune::report
