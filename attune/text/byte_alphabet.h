// GPT-2's alphabet: one printable character for each of the 256 bytes (a space is U+0120).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace attune::text {

/// Every byte as its character, in UTF-8.
std::string bytes_to_alphabet(std::string_view bytes);

/// The same, appended.
void append_alphabet(std::string& text, std::string_view bytes);

/// The bytes that `text` spells, or nothing if one of its characters is not of the alphabet.
std::optional<std::string> alphabet_to_bytes(std::string_view text);

}  // namespace attune::text
