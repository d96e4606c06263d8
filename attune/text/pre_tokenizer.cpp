#include "attune/text/pre_tokenizer.h"

#include <utility>

#include "attune/core/error.h"
#include "attune/text/byte_alphabet.h"
#include "attune/text/unicode.h"

namespace attune::text {

namespace {

using Step = PreTokenizer::Step;
using Matcher = std::function<void(std::string_view, std::vector<Range>&)>;

constexpr std::string_view kWhere = "tokenizer.json: pre_tokenizer";

enum class Behaviour { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

Behaviour behaviour_of(std::string_view name) {
  constexpr std::pair<std::string_view, Behaviour> kNames[] = {
      {"Removed", Behaviour::kRemoved},
      {"Isolated", Behaviour::kIsolated},
      {"MergedWithPrevious", Behaviour::kMergedWithPrevious},
      {"MergedWithNext", Behaviour::kMergedWithNext},
      {"Contiguous", Behaviour::kContiguous}};
  for (const auto& [known, behaviour] : kNames) {
    if (known == name) {
      return behaviour;
    }
  }
  unsupported(kWhere, fmt::format("behavior {}", name));
}

Matcher match_characters(bool (*wanted)(char32_t)) {
  return [wanted](std::string_view text, std::vector<Range>& matches) {
    for (size_t at = 0; at < text.size();) {
      const Character character = character_at(text, at);
      if (wanted(character.code)) {
        matches.push_back({at, at + character.size});
      }
      at += character.size;
    }
  };
}

Matcher match_text(std::string wanted) {
  return [wanted = std::move(wanted)](std::string_view text, std::vector<Range>& matches) {
    for (size_t at = wanted.empty() ? text.npos : text.find(wanted); at != text.npos;
         at = text.find(wanted, at + wanted.size())) {
      matches.push_back({at, at + wanted.size()});
    }
  };
}

Matcher match_regex(std::string_view pattern) {
  return [regex = Regex(pattern)](std::string_view text, std::vector<Range>& matches) {
    regex.find_all(text, matches);
  };
}

struct Part {
  Range range;
  bool is_match;
};

// Matches and the gaps between them, in order; `invert` swaps what counts as a match.
std::vector<Part> parts_of(std::string_view text, const std::vector<Range>& matches, bool invert) {
  std::vector<Part> parts;
  size_t done = 0;
  for (const Range& match : matches) {
    if (match.begin > done) {
      parts.push_back({{done, match.begin}, invert});
    }
    parts.push_back({match, !invert});
    done = match.end;
  }
  if (done < text.size()) {
    parts.push_back({{done, text.size()}, invert});
  }
  return parts;
}

// Joins neighbours as the behaviour says; afterwards every part but a removed one is a piece.
std::vector<Part> joined(const std::vector<Part>& parts, Behaviour behaviour) {
  std::vector<Part> result;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    const bool after_match = i > 0 && parts[i - 1].is_match;
    bool join = false;
    if (behaviour == Behaviour::kContiguous) {
      join = i > 0 && part.is_match == after_match;
    } else if (behaviour == Behaviour::kMergedWithPrevious) {
      join = i > 0 && part.is_match && !after_match;
    } else if (behaviour == Behaviour::kMergedWithNext) {
      join = after_match && !part.is_match;
    }
    if (join) {
      result.back().range.end = part.range.end;
    } else {
      result.push_back(part);
    }
  }
  return result;
}

// Every match and every gap is a piece of its own: the usual case, without a list of parts.
Step isolating_step(Matcher matcher) {
  return [matcher = std::move(matcher)](Piece piece, Pieces& out) {
    out.matches.clear();
    matcher(piece.text, out.matches);
    size_t done = 0;
    const auto add = [&](size_t end) {
      if (end > done) {
        out.list.push_back({piece.text.substr(done, end - done), piece.at_start && done == 0});
        done = end;
      }
    };
    for (const Range& match : out.matches) {
      add(match.begin);
      add(match.end);
    }
    add(piece.text.size());
  };
}

Step split_step(Matcher matcher, Behaviour behaviour, bool invert) {
  if (behaviour == Behaviour::kIsolated) {
    return isolating_step(std::move(matcher));
  }
  return [=](Piece piece, Pieces& out) {
    out.matches.clear();
    matcher(piece.text, out.matches);
    for (const Part& part : joined(parts_of(piece.text, out.matches, invert), behaviour)) {
      if (behaviour == Behaviour::kRemoved && part.is_match) {
        continue;
      }
      const auto [begin, end] = part.range;
      out.list.push_back({piece.text.substr(begin, end - begin), piece.at_start && begin == 0});
    }
  };
}

std::string_view keep(Pieces& pieces, std::string text) {
  return pieces.made.emplace_back(std::move(text));
}

void byte_level_steps(const Json& component, std::vector<Step>& steps) {
  if (bool_field(component, "add_prefix_space", true, kWhere)) {
    steps.emplace_back([](Piece piece, Pieces& out) {
      if (!piece.text.empty() && piece.text.front() != ' ') {
        piece.text = keep(out, " " + std::string(piece.text));
      }
      out.list.push_back(piece);
    });
  }
  if (bool_field(component, "use_regex", true, kWhere)) {
    steps.push_back(split_step(match_regex(kGpt2Pattern), Behaviour::kIsolated, /*invert=*/false));
  }
}

void metaspace_steps(const Json& component, std::vector<Step>& steps) {
  const std::string mark = text_field(component, "replacement", "\xe2\x96\x81", kWhere);
  const bool prefix = bool_field(component, "add_prefix_space", true, kWhere);
  const std::string scheme =
      text_field(component, "prepend_scheme", prefix ? "always" : "never", kWhere);
  check(scheme == "always" || scheme == "first" || scheme == "never",
        "{}: prepend_scheme must be always, first or never, got \"{}\".",
        kWhere,
        scheme);
  steps.emplace_back([mark, scheme](Piece piece, Pieces& out) {
    std::string text;
    for (const char c : piece.text) {
      c == ' ' ? text.append(mark) : text.append(1, c);
    }
    const bool wanted = scheme == "always" || (scheme == "first" && piece.at_start);
    if (wanted && text.compare(0, mark.size(), mark) != 0) {
      text.insert(0, mark);
    }
    out.list.push_back({keep(out, std::move(text)), piece.at_start});
  });
  if (bool_field(component, "split", true, kWhere)) {
    steps.push_back(split_step(match_text(mark), Behaviour::kMergedWithNext, /*invert=*/false));
  }
}

void add_steps(const Json& component, std::vector<Step>& steps, std::vector<size_t>& byte_levels) {
  const std::string type = type_of(component, kWhere);
  const auto split = [&](Matcher matcher, Behaviour behaviour, bool invert = false) {
    steps.push_back(split_step(std::move(matcher), behaviour, invert));
  };
  if (type == "Sequence") {
    for (const Json& part : array_field(component, "pretokenizers", kWhere)) {
      add_steps(part, steps, byte_levels);
    }
  } else if (type == "ByteLevel") {
    byte_level_steps(component, steps);
    byte_levels.push_back(steps.size());
  } else if (type == "Split") {
    const PatternField pattern = pattern_field(component, kWhere);
    split(pattern.is_regex ? match_regex(pattern.text) : match_text(pattern.text),
          behaviour_of(text_field(component, "behavior", kWhere)),
          bool_field(component, "invert", false, kWhere));
  } else if (type == "Digits") {
    const bool single = bool_field(component, "individual_digits", false, kWhere);
    split(match_characters(is_numeric), single ? Behaviour::kIsolated : Behaviour::kContiguous);
  } else if (type == "Metaspace") {
    metaspace_steps(component, steps);
  } else if (type == "Whitespace") {
    split(match_regex(R"([\w\x{200c}\x{200d}]+|[^\w\s\x{200c}\x{200d}]+)"),
          Behaviour::kRemoved,
          /*invert=*/true);
  } else if (type == "WhitespaceSplit") {
    split(match_characters(is_whitespace), Behaviour::kRemoved);
  } else if (type == "BertPreTokenizer") {
    split(match_characters(is_whitespace), Behaviour::kRemoved);
    split(match_characters(is_punctuation), Behaviour::kIsolated);
  } else if (type == "Punctuation") {
    split(match_characters(is_punctuation),
          behaviour_of(text_field(component, "behavior", "Isolated", kWhere)));
  } else if (type == "CharDelimiterSplit") {
    split(match_text(text_field(component, "delimiter", kWhere)), Behaviour::kRemoved);
  } else {
    unsupported(kWhere, type);
  }
}

}  // namespace

PreTokenizer PreTokenizer::parse(const Json& component) {
  PreTokenizer result;
  std::vector<size_t> byte_levels;
  if (!component.is_null()) {
    add_steps(component, result.steps_, byte_levels);
  }
  // The last spelling is left to the model's cache, which knows most pieces already.
  if (!byte_levels.empty() && byte_levels.back() == result.steps_.size()) {
    result.byte_level_ = true;
    byte_levels.pop_back();
  }
  for (size_t i = byte_levels.size(); i-- > 0;) {
    result.steps_.insert(
        result.steps_.begin() + static_cast<std::ptrdiff_t>(byte_levels[i]),
        [](Piece piece, Pieces& out) {
          out.list.push_back({keep(out, bytes_to_alphabet(piece.text)), piece.at_start});
        });
  }
  return result;
}

PreTokenizer PreTokenizer::of_patterns(const std::vector<std::string>& patterns) {
  PreTokenizer result;
  for (const std::string& pattern : patterns) {
    result.steps_.push_back(
        split_step(match_regex(pattern), Behaviour::kIsolated, /*invert=*/false));
  }
  result.byte_level_ = true;
  return result;
}

void PreTokenizer::split(std::string_view text, bool at_start, Pieces& pieces) const {
  pieces.list.assign(1, {text, at_start});
  std::vector<Piece> from;
  for (const Step& step : steps_) {
    from.swap(pieces.list);
    pieces.list.clear();
    for (const Piece& piece : from) {
      if (!piece.text.empty()) {
        step(piece, pieces);
      }
    }
  }
}

}  // namespace attune::text
