#pragma once

#include <span>
#include <string>
#include <string_view>

namespace attune {

/// " Did you mean \"beta\"?" for the nearest of `known`, or "" if none is near: at most a third of
/// the letters differ (Damerau-Levenshtein, letter case counts half), or one is a prefix of the
/// other.
std::string did_you_mean(std::string_view got, std::span<const std::string_view> known);
std::string did_you_mean(std::string_view got, std::span<const std::string> known);

/// That name itself, or "".
std::string nearest_name(std::string_view got, std::span<const std::string_view> known);
std::string nearest_name(std::string_view got, std::span<const std::string> known);

}  // namespace attune
