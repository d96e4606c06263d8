#include "attune/text/decoder.h"

#include <cctype>

#include "attune/core/error.h"
#include "attune/text/byte_alphabet.h"
#include "attune/text/normalizer.h"

namespace attune::text {

namespace {

using Step = Decoder::Step;

constexpr std::string_view kWhere = "tokenizer.json: decoder";
constexpr std::string_view kMark = "\xe2\x96\x81";

std::string from_alphabet(std::string_view token, bool) {
  // Added tokens need not be spelt in the alphabet.
  return alphabet_to_bytes(token).value_or(std::string(token));
}

std::string from_byte_token(std::string_view token, bool) {
  const int byte = byte_of_token(token);
  return byte < 0 ? std::string(token) : std::string(1, static_cast<char>(byte));
}

Step replace_step(std::string from, std::string to) {
  return [from = std::move(from), to = std::move(to)](std::string_view token, bool) {
    return replaced(token, from, to);
  };
}

// Takes `content` off up to `start` times at the front and `stop` times at the back.
Step strip_step(std::string content, int64_t start, int64_t stop, bool only_first) {
  return [=](std::string_view token, bool is_first) {
    if (only_first && !is_first) {
      return std::string(token);
    }
    for (int64_t i = 0; i < start && token.substr(0, content.size()) == content; ++i) {
      token.remove_prefix(content.size());
    }
    for (int64_t i = 0; i < stop && token.size() >= content.size() &&
                        token.substr(token.size() - content.size()) == content;
         ++i) {
      token.remove_suffix(content.size());
    }
    return std::string(token);
  };
}

Step metaspace_step(const Json& component) {
  const std::string mark = text_field(component, "replacement", kMark, kWhere);
  const bool prefix = bool_field(component, "add_prefix_space", true, kWhere);
  const bool strips =
      text_field(component, "prepend_scheme", prefix ? "always" : "never", kWhere) != "never";
  return [mark, strips](std::string_view token, bool is_first) {
    return replaced(token, mark, is_first && strips ? "" : " ");
  };
}

void add_steps(const Json& component, std::vector<Step>& steps, bool& fused) {
  const std::string type = type_of(component, kWhere);
  if (type == "Sequence") {
    for (const Json& part : array_field(component, "decoders", kWhere)) {
      add_steps(part, steps, fused);
    }
  } else if (type == "Fuse") {
    fused = true;
  } else if (type == "Strip") {
    const int64_t stop = int_field(component, "stop", kWhere);
    const std::string content = text_field(component, "content", kWhere);
    check(!content.empty(), "{}: Strip has an empty content.", kWhere);
    if (fused && stop > 0) {
      unsupported(kWhere, "Strip with stop > 0 after Fuse");
    }
    steps.push_back(strip_step(content, int_field(component, "start", kWhere), stop, fused));
  } else if (fused) {
    unsupported(kWhere, type + " after Fuse");
  } else if (type == "ByteLevel") {
    steps.emplace_back(from_alphabet);
  } else if (type == "ByteFallback") {
    steps.emplace_back(from_byte_token);
  } else if (type == "Replace") {
    const PatternField pattern = pattern_field(component, kWhere);
    if (pattern.is_regex || pattern.text.empty()) {
      unsupported(kWhere, "Replace with a regular expression");
    }
    steps.push_back(replace_step(pattern.text, text_field(component, "content", kWhere)));
  } else if (type == "Metaspace") {
    steps.push_back(metaspace_step(component));
  } else {
    unsupported(kWhere, type);
  }
}

}  // namespace

int byte_of_token(std::string_view token) {
  if (token.size() != 6 || token.substr(0, 3) != "<0x" || token[5] != '>') {
    return -1;
  }
  int byte = 0;
  for (const char c : token.substr(3, 2)) {
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) {
      return -1;
    }
    byte = byte * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return byte;
}

Decoder Decoder::parse(const Json& component) {
  std::vector<Step> steps;
  bool fused = false;
  if (!component.is_null()) {
    add_steps(component, steps, fused);
  } else {
    // Without a decoder, tokenizers joins the tokens by spaces.
    steps.emplace_back([](std::string_view token, bool is_first) {
      return (is_first ? "" : " ") + std::string(token);
    });
  }
  return Decoder(std::move(steps));
}

Decoder Decoder::byte_level() {
  return Decoder({from_alphabet});
}

Decoder Decoder::sentencepiece(bool strip) {
  std::vector<Step> steps = {replace_step(std::string(kMark), " "), from_byte_token};
  if (strip) {
    steps.push_back(strip_step(" ", 1, 0, /*only_first=*/true));
  }
  return Decoder(std::move(steps));
}

std::string Decoder::operator()(std::string_view token, bool is_first) const {
  std::string result(token);
  for (const Step& step : steps_) {
    result = step(result, is_first);
  }
  return result;
}

}  // namespace attune::text
