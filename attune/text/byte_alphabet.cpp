#include "attune/text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "attune/text/unicode.h"

namespace attune::text {

namespace {

struct Alphabet {
  std::array<std::string, 256> text_of;
  std::array<int16_t, 512> byte_of{};

  // Printable Latin-1 stands for itself; the others take U+0100, U+0101, ... in order.
  Alphabet() {
    byte_of.fill(-1);
    char32_t next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool printable =
          (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
      const char32_t code = printable ? byte : next++;
      append_utf8(text_of[byte], code);
      byte_of[code] = static_cast<int16_t>(byte);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet only;
  return only;
}

}  // namespace

void append_alphabet(std::string& text, std::string_view bytes) {
  for (const char byte : bytes) {
    text += alphabet().text_of[static_cast<unsigned char>(byte)];
  }
}

std::string bytes_to_alphabet(std::string_view bytes) {
  std::string result;
  result.reserve(bytes.size() * 2);
  append_alphabet(result, bytes);
  return result;
}

std::optional<std::string> alphabet_to_bytes(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    if (!character.valid || character.code >= alphabet().byte_of.size() ||
        alphabet().byte_of[character.code] < 0) {
      return std::nullopt;
    }
    result.push_back(static_cast<char>(alphabet().byte_of[character.code]));
    at += character.size;
  }
  return result;
}

}  // namespace attune::text
