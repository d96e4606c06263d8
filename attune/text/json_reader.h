// Fields of tokenizer.json, each asked for by its type, with errors that name the place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace attune::text {

using Json = nlohmann::json;

/// Parses JSON. `where` names the text in messages. @throws Error with the place of a mistake, or
/// if values are nested more than 64 deep.
Json parse_json(std::string_view text, std::string_view where);

/// The field `key`, or null if it is absent or null. @throws Error if `object` is no object.
const Json* find_field(const Json& object, std::string_view key, std::string_view where);

/// @throws Error if the field is absent, null or of another type.
const Json& array_field(const Json& object, std::string_view key, std::string_view where);
std::string text_field(const Json& object, std::string_view key, std::string_view where);
int64_t int_field(const Json& object, std::string_view key, std::string_view where);

/// The same with a value for an absent or null field.
bool bool_field(const Json& object, std::string_view key, bool otherwise, std::string_view where);
int64_t int_field(const Json& object,
                  std::string_view key,
                  int64_t otherwise,
                  std::string_view where);
std::string text_field(const Json& object,
                       std::string_view key,
                       std::string_view otherwise,
                       std::string_view where);

/// The "type" of a component, for messages and dispatch.
std::string type_of(const Json& component, std::string_view where);

/// Throws the Error for a component that attune does not have.
[[noreturn]] void unsupported(std::string_view where, std::string_view what);

/// A component's pattern: {"String": "..."} or {"Regex": "..."}.
struct PatternField {
  std::string text;
  bool is_regex;
};
PatternField pattern_field(const Json& component, std::string_view where);

}  // namespace attune::text
