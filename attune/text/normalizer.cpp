#include "attune/text/normalizer.h"

#include "attune/core/error.h"
#include "attune/text/byte_alphabet.h"
#include "attune/text/regex.h"
#include "attune/text/unicode.h"

namespace attune::text {

namespace {

using Step = Normalizer::Step;

constexpr std::string_view kWhere = "tokenizer.json: normalizer";

Step strip_step(bool left, bool right) {
  return [=](std::string_view text) {
    while (left && !text.empty() && is_whitespace(character_at(text, 0).code)) {
      text.remove_prefix(character_size(text[0]));
    }
    while (right && !text.empty()) {
      const size_t last = previous_character(text, text.size());
      if (!is_whitespace(character_at(text, last).code)) {
        break;
      }
      text = text.substr(0, last);
    }
    return std::string(text);
  };
}

std::string without_accents(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    if (!is_nonspacing_mark(character.code)) {
      result.append(text.substr(at, character.size));
    }
    at += character.size;
  }
  return result;
}

Step replace_step(const PatternField& pattern, std::string content) {
  if (!pattern.is_regex) {
    check(!pattern.text.empty(), "{}: Replace has an empty pattern.", kWhere);
    return [from = pattern.text, to = std::move(content)](std::string_view text) {
      return replaced(text, from, to);
    };
  }
  return [regex = Regex(pattern.text), to = std::move(content)](std::string_view text) {
    std::vector<Range> matches;
    regex.find_all(text, matches);
    std::string result;
    size_t done = 0;
    for (const Range& match : matches) {
      result.append(text.substr(done, match.begin - done)).append(to);
      done = match.end;
    }
    return result.append(text.substr(done));
  };
}

void add_steps(const Json& component, std::vector<Step>& steps) {
  const std::string type = type_of(component, kWhere);
  const auto form = [&](NormalForm which) {
    steps.emplace_back([which](std::string_view text) { return normalised(text, which); });
  };
  if (type == "Sequence") {
    for (const Json& part : array_field(component, "normalizers", kWhere)) {
      add_steps(part, steps);
    }
  } else if (type == "NFC") {
    form(NormalForm::kNfc);
  } else if (type == "NFD") {
    form(NormalForm::kNfd);
  } else if (type == "NFKC") {
    form(NormalForm::kNfkc);
  } else if (type == "NFKD") {
    form(NormalForm::kNfkd);
  } else if (type == "Lowercase") {
    steps.emplace_back(lower_case);
  } else if (type == "StripAccents") {
    steps.emplace_back(without_accents);
  } else if (type == "ByteLevel") {
    steps.emplace_back(bytes_to_alphabet);
  } else if (type == "Strip") {
    steps.push_back(strip_step(bool_field(component, "strip_left", true, kWhere),
                               bool_field(component, "strip_right", true, kWhere)));
  } else if (type == "Prepend") {
    steps.emplace_back([prefix = text_field(component, "prepend", kWhere)](std::string_view text) {
      return text.empty() ? std::string() : prefix + std::string(text);
    });
  } else if (type == "Replace") {
    steps.push_back(
        replace_step(pattern_field(component, kWhere), text_field(component, "content", kWhere)));
  } else {
    unsupported(kWhere, type);
  }
}

}  // namespace

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  result.reserve(text.size());
  size_t done = 0;
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from, done)) {
    result.append(text.substr(done, at - done)).append(to);
    done = at + from.size();
  }
  return result.append(text.substr(done));
}

Normalizer Normalizer::parse(const Json& component) {
  std::vector<Step> steps;
  if (!component.is_null()) {
    add_steps(component, steps);
  }
  return Normalizer(std::move(steps));
}

std::string Normalizer::operator()(std::string_view text) const {
  std::string result(text);
  for (const Step& step : steps_) {
    result = step(result);
  }
  return result;
}

}  // namespace attune::text
