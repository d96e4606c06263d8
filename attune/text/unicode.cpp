#include "attune/text/unicode.h"

#include <cstdlib>
#include <cstring>

#include <utf8proc.h>

#include "attune/core/error.h"

namespace attune::text {

namespace {

bool is_ascii(std::string_view text) {
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    if ((word & 0x8080808080808080ULL) != 0) {
      return false;
    }
  }
  for (; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0x80) != 0) {
      return false;
    }
  }
  return true;
}

utf8proc_category_t category(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

bool is_mark(char32_t code) {
  const auto kind = category(code);
  return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_MC ||
         kind == UTF8PROC_CATEGORY_ME;
}

bool is_letter(char32_t code) {
  const auto kind = category(code);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

}  // namespace

Character character_at(std::string_view text, size_t begin) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(begin);
  if (lead < 0x80) {
    return {lead, 1, true};
  }
  if (lead < 0xc2 || lead > 0xf4) {
    return {0xfffd, 1, false};
  }
  const size_t wanted = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  // The second byte's range keeps out overlong forms, surrogates and codes above U+10FFFF.
  unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  char32_t code = lead & (0x3fU >> wanted);
  for (size_t i = 1; i <= wanted; ++i) {
    if (begin + i >= text.size() || byte(begin + i) < low || byte(begin + i) > high) {
      return {0xfffd, i, false};
    }
    code = (code << 6) | (byte(begin + i) & 0x3fU);
    low = 0x80;
    high = 0xbf;
  }
  return {code, wanted + 1, true};
}

size_t previous_character(std::string_view text, size_t end) {
  size_t at = end - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) {
    --at;
  }
  return at;
}

void append_utf8(std::string& text, char32_t code) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | (code >> 6));
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3f));
    put(0x80 | ((code >> 6) & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

bool is_utf8(std::string_view text) {
  if (is_ascii(text)) {
    return true;
  }
  for (size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    if (!character.valid) {
      return false;
    }
    at += character.size;
  }
  return true;
}

std::string repaired_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size() + 8);
  for (size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    if (character.valid) {
      result.append(text.substr(at, character.size));
    } else {
      result.append("\xef\xbf\xbd");
    }
    at += character.size;
  }
  return result;
}

size_t settled_prefix(std::string_view bytes) {
  const size_t first = bytes.size() < 3 ? 0 : bytes.size() - 3;
  for (size_t at = first; at < bytes.size(); ++at) {
    const auto lead = static_cast<unsigned char>(bytes[at]);
    if (lead < 0xc2 || lead > 0xf4) {
      continue;
    }
    const Character character = character_at(bytes, at);
    if (!character.valid && at + character.size == bytes.size() &&
        character.size < character_size(bytes[at])) {
      return at;
    }
  }
  return bytes.size();
}

bool is_whitespace(char32_t code) {
  return (code >= 0x9 && code <= 0xd) || code == 0x20 || code == 0x85 || code == 0xa0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
         code == 0x202f || code == 0x205f || code == 0x3000;
}

bool is_python_space(char32_t code) {
  return is_whitespace(code) || (code >= 0x1c && code <= 0x1f);
}

bool is_numeric(char32_t code) {
  if (code < 0x80) {
    return code >= '0' && code <= '9';
  }
  const auto kind = category(code);
  return kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO;
}

bool is_punctuation(char32_t code) {
  if (code < 0x80) {
    return code > 0x20 && code < 0x7f && !is_numeric(code) && !is_letter(code);
  }
  const auto kind = category(code);
  return kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
}

bool is_nonspacing_mark(char32_t code) {
  return category(code) == UTF8PROC_CATEGORY_MN;
}

bool is_word_character(char32_t code) {
  const auto kind = category(code);
  // Alphabetic is letters, letter numbers and the circled, squared and negative Latin letters.
  const bool other_alphabetic =
      kind == UTF8PROC_CATEGORY_NL || (code >= 0x24b6 && code <= 0x24e9) ||
      (code >= 0x1f130 && code <= 0x1f149) || (code >= 0x1f150 && code <= 0x1f169) ||
      (code >= 0x1f170 && code <= 0x1f189);
  return is_letter(code) || is_mark(code) || kind == UTF8PROC_CATEGORY_ND ||
         kind == UTF8PROC_CATEGORY_PC || other_alphabetic || code == 0x200c || code == 0x200d;
}

std::string normalised(std::string_view text, NormalForm form) {
  if (is_ascii(text)) {
    return std::string(text);
  }
  int options = UTF8PROC_STABLE;
  const bool compose = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  options |= compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == NormalForm::kNfkc || form == NormalForm::kNfkd) {
    options |= UTF8PROC_COMPAT;
  }
  utf8proc_uint8_t* made = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                 static_cast<utf8proc_ssize_t>(text.size()),
                                 &made,
                                 static_cast<utf8proc_option_t>(options));
  ensure(size >= 0, "normalised: {}", utf8proc_errmsg(size));
  std::string result(reinterpret_cast<const char*>(made), static_cast<size_t>(size));
  std::free(made);
  return result;
}

std::string lower_case(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    at += character.size;
    // The one character whose lower case is two: I with a dot above.
    if (character.code == 0x130) {
      result.append("i\xcc\x87");
      continue;
    }
    append_utf8(
        result,
        static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(character.code))));
  }
  return result;
}

std::string_view python_strip(std::string_view text) {
  while (!text.empty()) {
    const Character first = character_at(text, 0);
    if (!is_python_space(first.code)) {
      break;
    }
    text.remove_prefix(first.size);
  }
  while (!text.empty()) {
    const size_t last = previous_character(text, text.size());
    if (!is_python_space(character_at(text, last).code)) {
      break;
    }
    text = text.substr(0, last);
  }
  return text;
}

}  // namespace attune::text
