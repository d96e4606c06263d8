#include "attune/data/group_parts.h"

#include <algorithm>
#include <utility>

#include "attune/data/implicit_prompt.h"
#include "attune/data/row_error.h"
#include "attune/text/unicode.h"

namespace attune::data {
namespace {

using Turns = std::vector<text::Message>;

bool is_blank(std::string_view text) {
  return text::python_strip(text).empty();
}

void drop_turns(std::vector<Text>& sides, size_t count) {
  for (Text& side : sides) {
    side.turns.erase(side.turns.begin(), side.turns.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

bool all_begin_with(const std::vector<Text>& sides, const Turns& prompt) {
  return std::all_of(sides.begin(), sides.end(), [&prompt](const Text& side) {
    const auto same = [](const text::Message& a, const text::Message& b) {
      return a.role == b.role && a.content == b.content;
    };
    return side.turns.size() > prompt.size() &&
           std::equal(prompt.begin(), prompt.end(), side.turns.begin(), same);
  });
}

bool all_answer(const std::vector<Text>& sides) {
  return std::all_of(sides.begin(), sides.end(), [](const Text& side) {
    return side.turns.front().role == "assistant";
  });
}

/// Takes the prompt's turns from where they stand: their own field, or the beginning of the sides.
Turns take_prompt_turns(GroupParts& parts, std::string_view where) {
  if (parts.prompt && parts.prompt->is_turns) {
    if (all_begin_with(parts.sides, parts.prompt->turns)) {
      drop_turns(parts.sides, parts.prompt->turns.size());
    }
    return std::move(parts.prompt->turns);
  }
  if (parts.prompt && all_answer(parts.sides)) {
    return {{"user", parts.prompt->plain}};
  }
  const size_t count = implicit_prompt_turns(parts.sides);
  const Turns& first = parts.sides.front().turns;
  Turns turns(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(count));
  const auto is_prompt = [&parts](const text::Message& turn) {
    return turn.content == parts.prompt->plain;
  };
  if (parts.prompt && std::none_of(turns.begin(), turns.end(), is_prompt)) {
    throw RowError(where,
                   "the sides are whole conversations that do not hold the prompt",
                   ". Map the prompt to another column, or leave it out of the row");
  }
  drop_turns(parts.sides, count);
  return turns;
}

void check_turns(const PreferenceGroup& group, const std::vector<std::string>& names) {
  if (group.messages.empty()) {
    throw RowError(group.where, "the conversations have no common beginning that is the prompt");
  }
  for (size_t k = 0; k < group.completions.size(); ++k) {
    const Turns& turns = group.completions[k].messages;
    if (turns.front().role != "assistant") {
      throw RowError(group.where,
                     fmt::format("{} must go on with a turn of the assistant", names[k]),
                     fmt::format(", got one of the {}", turns.front().role));
    }
    for (const text::Message& turn : turns) {
      if (turn.role == "assistant" && is_blank(turn.content)) {
        throw RowError(group.where, fmt::format("{} is empty", names[k]));
      }
    }
  }
}

PreferenceGroup plain_group(GroupParts parts, std::string_view where) {
  PreferenceGroup group;
  group.where = where;
  if (parts.prompt) {
    group.prompt = std::move(parts.prompt->plain);
  } else {
    std::vector<std::string_view> sides;
    for (const Text& side : parts.sides) {
      sides.push_back(side.plain);
    }
    const size_t bytes = implicit_prompt_bytes(sides);
    group.prompt = parts.sides.front().plain.substr(0, bytes);
    for (Text& side : parts.sides) {
      side.plain.erase(0, bytes);
    }
  }
  for (size_t k = 0; k < parts.sides.size(); ++k) {
    if (is_blank(parts.sides[k].plain)) {
      throw RowError(where, fmt::format("{} is empty", parts.names[k]));
    }
    Completion completion;
    completion.text = std::move(parts.sides[k].plain);
    group.completions.push_back(std::move(completion));
  }
  return group;
}

}  // namespace

PreferenceGroup assemble(GroupParts parts, std::string_view where) {
  const bool has_system = parts.system && !parts.system->empty();
  const auto plain_sides = static_cast<size_t>(std::count_if(
      parts.sides.begin(), parts.sides.end(), [](const Text& side) { return !side.is_turns; }));
  if (plain_sides != 0 && plain_sides != parts.sides.size()) {
    throw RowError(where, "some completions are text and others lists of turns");
  }
  const bool plain_prompt = !parts.prompt || !parts.prompt->is_turns;
  if (plain_sides != 0 && plain_prompt && !has_system) {
    return plain_group(std::move(parts), where);
  }
  if (plain_sides != 0 && !parts.prompt) {
    throw RowError(where, "a system turn stands beside sides without a prompt");
  }
  for (Text& side : parts.sides) {
    if (!side.is_turns) {
      side = {true, "", {{"assistant", std::move(side.plain)}}};
    }
  }
  PreferenceGroup group;
  group.where = where;
  group.conversational = true;
  group.messages = take_prompt_turns(parts, where);
  for (Text& side : parts.sides) {
    Completion completion;
    completion.messages = std::move(side.turns);
    group.completions.push_back(std::move(completion));
  }
  check_turns(group, parts.names);
  if (has_system) {
    const bool has_turn = group.messages.front().role == "system";
    if (has_turn && group.messages.front().content != *parts.system) {
      throw RowError(where, "two system turns: one in its own column, another in the conversation");
    }
    if (!has_turn) {
      group.messages.insert(group.messages.begin(), {"system", *parts.system});
    }
  }
  return group;
}

}  // namespace attune::data
