#include "attune/core/hint.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include <fmt/format.h>

namespace attune {
namespace {

// Twice the edit distance, so that a difference in letter case alone can count as half an edit.
int distance2(std::string_view a, std::string_view b) {
  std::vector<std::vector<int>> d(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    d[i][0] = static_cast<int>(2 * i);
  }
  for (size_t j = 0; j <= b.size(); ++j) {
    d[0][j] = static_cast<int>(2 * j);
  }
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const int swap_cost = a[i - 1] == b[j - 1] ? 0 : (lower(a[i - 1]) == lower(b[j - 1]) ? 1 : 2);
      d[i][j] = std::min({d[i - 1][j] + 2, d[i][j - 1] + 2, d[i - 1][j - 1] + swap_cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 2);
      }
    }
  }
  return d[a.size()][b.size()];
}

template <class Text>
std::string nearest(std::string_view got, std::span<const Text> known) {
  std::string_view best;
  int best_score = 1 << 20;
  for (const Text& candidate : known) {
    const std::string_view name = candidate;
    // A beginning is the best guess; one slip is a better guess than letters too many.
    const bool begun = got.size() >= 3 && name.substr(0, got.size()) == got;
    const bool exceeded = name.size() >= 3 && got.substr(0, name.size()) == name;
    const int distance = distance2(got, name);
    const int score = begun ? 1 : exceeded ? std::min(distance, 3) : distance;
    const int allowed =
        static_cast<int>(2 * std::max<size_t>(1, std::max(got.size(), name.size()) / 3));
    if (score <= allowed && score < best_score) {
      best = name;
      best_score = score;
    }
  }
  return std::string(best);
}

std::string question(const std::string& name) {
  return name.empty() ? "" : fmt::format(" Did you mean \"{}\"?", name);
}

}  // namespace

std::string nearest_name(std::string_view got, std::span<const std::string_view> known) {
  return nearest(got.substr(0, 100), known);
}

std::string nearest_name(std::string_view got, std::span<const std::string> known) {
  return nearest(got.substr(0, 100), known);
}

std::string did_you_mean(std::string_view got, std::span<const std::string_view> known) {
  return question(nearest_name(got, known));
}

std::string did_you_mean(std::string_view got, std::span<const std::string> known) {
  return question(nearest_name(got, known));
}

}  // namespace attune
