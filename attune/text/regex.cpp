#include "attune/text/regex.h"

#include <algorithm>
#include <cstdint>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "attune/core/error.h"
#include "attune/text/unicode.h"

namespace attune::text {

namespace {

// PCRE2's own \s takes U+180E in, and its \w knows no marks: spell out what Oniguruma means.
std::string translated(std::string_view pattern) {
  std::string result;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
      if (escaped == 's') {
        result += "\\p{White_Space}";
      } else if (escaped == 'S') {
        result += "\\P{White_Space}";
      } else if (escaped == 'w') {
        result += in_class ? std::string(kWord) : "[" + std::string(kWord) + "]";
      } else if (escaped == 'W') {
        check(!in_class, "regular expression {}: \\W inside [] is not supported.", pattern);
        result += "[^" + std::string(kWord) + "]";
      } else {
        result += c;
        result += escaped;
      }
      continue;
    }
    if (in_class && c == '&' && i + 1 < pattern.size() && pattern[i + 1] == '&') {
      throw Error(fmt::format("regular expression {}: && inside [] is not supported.", pattern));
    }
    if (c == '[' && !in_class) {
      in_class = true;
    } else if (c == ']' && in_class) {
      in_class = false;
    }
    result += c;
  }
  return result;
}

std::string message_of(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

// What one thread needs to run any pattern: the JIT's stack may grow to 64 MiB.
struct Workspace {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(64 << 10, 64 << 20, nullptr);

  Workspace() {
    check(data != nullptr && context != nullptr && stack != nullptr, "out of memory.");
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Workspace() {
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
};

Workspace& workspace() {
  thread_local Workspace mine;
  return mine;
}

}  // namespace

struct Regex::Code {
  explicit Code(pcre2_code* compiled) : code(compiled) {}
  ~Code() {
    pcre2_code_free(code);
  }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  pcre2_code* code;
};

Regex::Regex(std::string_view pattern) : pattern_(pattern) {
  const std::string text = translated(pattern);
  int error = 0;
  size_t offset = 0;
  pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()),
                                       text.size(),
                                       PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE,
                                       &error,
                                       &offset,
                                       nullptr);
  check(compiled != nullptr,
        "regular expression {}: {} (at byte {} of {}).",
        pattern,
        message_of(error),
        offset,
        text);
  code_ = std::make_shared<const Code>(compiled);
  // Where the machine has no just-in-time compiler, pcre2_match interprets.
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
}

void Regex::find_all(std::string_view text, std::vector<Range>& matches) const {
  Workspace& space = workspace();
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const size_t* found = pcre2_get_ovector_pointer(space.data);
  // Sound patterns look at a run of white space a few times; a runaway one ends within seconds.
  pcre2_set_match_limit(space.context,
                        static_cast<uint32_t>(std::min<uint64_t>(
                            10'000'000 + 16 * uint64_t{text.size()}, UINT32_MAX)));
  for (size_t at = 0; at < text.size();) {
    const int result = pcre2_match(
        code_->code, subject, text.size(), at, PCRE2_NO_UTF_CHECK, space.data, space.context);
    if (result == PCRE2_ERROR_NOMATCH) {
      return;
    }
    check(result >= 0, "regular expression {}: {}.", pattern_, message_of(result));
    if (found[1] > found[0]) {
      matches.push_back({found[0], found[1]});
      at = found[1];
    } else {
      at = found[0] + (found[0] < text.size() ? character_size(text[found[0]]) : 1);
    }
  }
}

}  // namespace attune::text
