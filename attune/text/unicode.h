// UTF-8 and the few questions about characters that tokenizers ask.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace attune::text {

/// One character of a text: `size` bytes. For ill-formed bytes `valid` is false, `code` is U+FFFD
/// and `size` covers one maximal ill-formed part (Unicode 15, 3.9), at least one byte.
struct Character {
  char32_t code;
  size_t size;
  bool valid;
};

/// The character at `begin`, which is < text.size().
Character character_at(std::string_view text, size_t begin);

/// The start of the character that ends at `end` > 0 of well-formed text.
size_t previous_character(std::string_view text, size_t end);

/// Bytes of the character that begins with `lead`, in well-formed text.
inline size_t character_size(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

void append_utf8(std::string& text, char32_t code);

bool is_utf8(std::string_view text);

/// `text` with U+FFFD for each maximal ill-formed part, as Python's errors="replace".
std::string repaired_utf8(std::string_view text);

/// Length of the part of `bytes` that no later bytes can change: all but a last character that is
/// well-formed so far and not whole.
size_t settled_prefix(std::string_view bytes);

bool is_whitespace(char32_t code);       ///< Unicode's White_Space
bool is_python_space(char32_t code);     ///< what Python's str.strip() takes off
bool is_numeric(char32_t code);          ///< a digit, letter number or other number
bool is_punctuation(char32_t code);      ///< ASCII punctuation and symbols, or category P
bool is_nonspacing_mark(char32_t code);  ///< category Mn
bool is_word_character(char32_t code);   ///< regular expressions' \w

/// A normal form of Unicode.
enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

/// `text` (well-formed) in that form.
std::string normalised(std::string_view text, NormalForm form);

/// `text` (well-formed) in lower case, character by character.
std::string lower_case(std::string_view text);

/// `text` without what Python's str.strip() takes off.
std::string_view python_strip(std::string_view text);

}  // namespace attune::text
