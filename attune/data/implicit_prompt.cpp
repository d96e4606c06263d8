#include "attune/data/implicit_prompt.h"

#include <algorithm>

#include "attune/text/unicode.h"

namespace attune::data {
namespace {

constexpr std::string_view kAssistant = "\n\nAssistant:";

/// Bytes that all sides share, but for the last byte of the shortest.
size_t common_bytes(std::span<const std::string_view> sides) {
  const std::string_view first = sides.front();
  size_t shared = first.size();
  size_t shortest = first.size();
  for (const std::string_view side : sides) {
    shared = std::min(shared, side.size());
    const auto [end, unused] = std::mismatch(first.begin(), first.begin() + shared, side.begin());
    shared = static_cast<size_t>(end - first.begin());
    shortest = std::min(shortest, side.size());
  }
  return shortest == 0 ? 0 : std::min(shared, shortest - 1);
}

bool begins_character(std::string_view text, size_t at) {
  return at >= text.size() || (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80;
}

bool is_space_at(std::string_view text, size_t at) {
  return text::is_whitespace(text::character_at(text, at).code);
}

/// Scripts that write words without spaces: a cut at one of their characters cuts no word of ours.
bool is_ideograph(char32_t code) {
  return (code >= 0x2e80 && code <= 0x9fff) || (code >= 0xf900 && code <= 0xfaff) ||
         (code >= 0xff00 && code <= 0xffef) || (code >= 0x20000 && code <= 0x3ffff);
}

/// Whether a word ends before `at` in this side, or an ideograph stands beside it.
bool is_break(std::string_view side, size_t at) {
  const size_t before = text::previous_character(side, at);
  if (is_space_at(side, at)) {
    return !is_space_at(side, before);
  }
  return is_ideograph(text::character_at(side, at).code) ||
         is_ideograph(text::character_at(side, before).code);
}

}  // namespace

size_t implicit_prompt_bytes(std::span<const std::string_view> sides) {
  const std::string_view first = sides.front();
  size_t at = common_bytes(sides);
  if (first.starts_with("\n\nHuman:")) {
    const size_t turn = first.substr(0, at).rfind(kAssistant);
    if (turn != std::string_view::npos) {
      return turn + kAssistant.size();
    }
  }
  for (; at > 0; --at) {
    const auto breaks = [at](std::string_view side) {
      return begins_character(side, at) && is_break(side, at);
    };
    if (std::all_of(sides.begin(), sides.end(), breaks)) {
      break;
    }
  }
  return at;
}

size_t implicit_prompt_turns(std::span<const Text> sides) {
  const std::vector<text::Message>& first = sides.front().turns;
  size_t shortest = first.size();
  size_t shared = first.size();
  for (const Text& side : sides) {
    shortest = std::min(shortest, side.turns.size());
    shared = std::min(shared, side.turns.size());
    const auto same = [](const text::Message& a, const text::Message& b) {
      return a.role == b.role && a.content == b.content;
    };
    const auto [end, unused] =
        std::mismatch(first.begin(), first.begin() + shared, side.turns.begin(), same);
    shared = static_cast<size_t>(end - first.begin());
  }
  return std::min(shared, shortest - 1);
}

}  // namespace attune::data
