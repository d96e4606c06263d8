#include "attune/data/row.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "attune/core/hint.h"
#include "attune/data/row_error.h"
#include "attune/io/json.h"

namespace attune::data {
namespace {

using nlohmann::json;

struct Role {
  std::string_view written;
  std::string_view meant;
};
constexpr std::array kRoles{Role{"assistant", "assistant"},
                            Role{"bot", "assistant"},
                            Role{"chatgpt", "assistant"},
                            Role{"gpt", "assistant"},
                            Role{"human", "user"},
                            Role{"system", "system"},
                            Role{"user", "user"}};

std::string read_role(const Row& row, std::string_view field, const json& value) {
  if (!value.is_string()) {
    row.wrong_type(field, "turns whose role is text", value);
  }
  const auto& role = value.get_ref<const std::string&>();
  std::vector<std::string_view> names;
  for (const Role& known : kRoles) {
    if (known.written == role) {
      return std::string(known.meant);
    }
    names.push_back(known.written);
  }
  throw RowError(row.where(),
                 fmt::format("field \"{}\" has a turn of an unknown role", row.column(field)),
                 fmt::format(" \"{}\".{} attune knows system, user and assistant",
                             role.substr(0, 80),
                             did_you_mean(role, names)));
}

/// The text of one part of a multimodal turn; nullptr if it is no text.
const json* text_of_part(const json& part) {
  if (!part.is_object()) {
    return nullptr;
  }
  const auto type = part.find("type");
  if (type != part.end() && *type != "text") {
    return nullptr;
  }
  for (const char* key : {"text", "value"}) {
    const auto found = part.find(key);
    if (found != part.end() && found->is_string()) {
      return &*found;
    }
  }
  return nullptr;
}

/// Text, or the parts of a multimodal turn if all of them are text.
std::string read_content(const Row& row, std::string_view field, const json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (!value.is_array()) {
    row.wrong_type(field, "turns whose content is text", value);
  }
  std::string content;
  for (const json& part : value) {
    if (const json* text = text_of_part(part)) {
      content += text->get_ref<const std::string&>();
      continue;
    }
    throw RowError(row.where(),
                   fmt::format("field \"{}\" has a part that is no text", row.column(field)),
                   "; attune tunes on text only");
  }
  return content;
}

text::Message read_message(const Row& row, std::string_view field, const json& value) {
  if (!value.is_object()) {
    row.wrong_type(field, "a list of turns (objects with role and content)", value);
  }
  const bool chat = value.contains("role");
  const auto role = value.find(chat ? "role" : "from");
  const auto content = value.find(chat ? "content" : "value");
  if (role == value.end() || content == value.end() || content->is_null()) {
    std::string keys;
    for (const auto& [key, unused] : value.items()) {
      keys += (keys.empty() ? "" : ", ") + key.substr(0, 40);
    }
    throw RowError(
        row.where(),
        fmt::format("field \"{}\" has a turn without role and content", row.column(field)),
        fmt::format(" (nor from and value); it has: {}", keys.empty() ? "nothing" : keys));
  }
  return {read_role(row, field, *role), read_content(row, field, *content)};
}

}  // namespace

bool Text::operator==(const Text& other) const {
  const auto same = [](const text::Message& a, const text::Message& b) {
    return a.role == b.role && a.content == b.content;
  };
  return is_turns == other.is_turns && plain == other.plain &&
         std::equal(turns.begin(), turns.end(), other.turns.begin(), other.turns.end(), same);
}

Text read_text(const Row& row, std::string_view field, const json& value) {
  Text text;
  if (value.is_string()) {
    text.plain = value.get<std::string>();
    return text;
  }
  text.is_turns = true;
  if (value.is_object()) {
    text.turns.push_back(read_message(row, field, value));
    return text;
  }
  if (!value.is_array()) {
    row.wrong_type(field, "text or a list of turns", value);
  }
  for (const json& turn : value) {
    text.turns.push_back(read_message(row, field, turn));
  }
  if (text.turns.empty()) {
    throw RowError(row.where(), fmt::format("field \"{}\" has no turn", row.column(field)));
  }
  return text;
}

double read_number(const Row& row, std::string_view column, const json& value) {
  if (!value.is_number()) {
    throw RowError(row.where(),
                   fmt::format("field \"{}\" must be a number", column),
                   fmt::format(", got {}", io::json_type(value)));
  }
  const auto number = value.get<double>();
  if (!(std::abs(number) <= static_cast<double>(std::numeric_limits<float>::max()))) {
    throw RowError(row.where(),
                   fmt::format("field \"{}\" holds a number that is too large", column),
                   fmt::format(": {}", number));
  }
  return number;
}

const json* Row::find(std::string_view field) const {
  for (const std::string& column : columns_.of(field)) {
    if (const json* value = find_column(column)) {
      return value;
    }
  }
  return nullptr;
}

const json* Row::find_column(const std::string& name) const {
  const auto at = object_.find(name);
  return at == object_.end() || at->is_null() ? nullptr : &*at;
}

const std::string& Row::column(std::string_view field) const {
  const std::vector<std::string>& candidates = columns_.of(field);
  for (const std::string& column : candidates) {
    if (object_.contains(column)) {
      return column;
    }
  }
  return candidates.front();
}

const json& Row::at(std::string_view field) const {
  if (const json* found = find(field)) {
    return *found;
  }
  return at_column(field, column(field));
}

const json& Row::at_column(std::string_view field, const std::string& name) const {
  const auto found = object_.find(name);
  if (found != object_.end() && !found->is_null()) {
    return *found;
  }
  const std::string reason = fmt::format("field \"{}\" is missing", name);
  if (found != object_.end()) {
    throw RowError(where_, reason, ": it is null");
  }
  std::vector<std::string> unknown = column_names();
  std::erase_if(unknown, [this](const std::string& other) { return columns_.is_known(other); });
  const std::string near = nearest_name(name, unknown);
  throw RowError(where_,
                 reason,
                 (near.empty() ? "" : fmt::format("; the row has \"{}\"", near)) +
                     (columns_.mapped(field) ? fmt::format(" (data.columns.{})", field) : ""));
}

std::vector<std::string> Row::column_names() const {
  std::vector<std::string> names;
  for (const auto& [name, unused] : object_.items()) {
    names.push_back(name.substr(0, 60));
  }
  return names;
}

std::optional<Text> read_prompt(const Row& row) {
  if (!row.has("prompt")) {
    return std::nullopt;
  }
  Text prompt = row.text("prompt");
  if (!prompt.is_turns && row.column("prompt") == "instruction") {
    const std::string input = row.word("input").value_or("");
    prompt.plain += input.empty() ? "" : "\n\n" + input;
  }
  return prompt;
}

Text Row::text(std::string_view field) const {
  return read_text(*this, field, at(field));
}

std::optional<std::string> Row::word(std::string_view field) const {
  const json* value = find(field);
  if (value == nullptr) {
    return std::nullopt;
  }
  if (value->is_number_integer()) {
    return value->dump();
  }
  if (!value->is_string()) {
    wrong_type(field, "text or a whole number", *value);
  }
  return value->get<std::string>();
}

std::optional<double> Row::number(std::string_view field) const {
  const json* value = find(field);
  return value == nullptr ? std::nullopt : std::optional(read_number(*this, column(field), *value));
}

void Row::wrong_type(std::string_view field, std::string_view expected, const json& got) const {
  throw RowError(where_,
                 fmt::format("field \"{}\" must be {}", column(field), expected),
                 fmt::format(", got {}", io::json_type(got)));
}

}  // namespace attune::data
