#include "attune/text/json_reader.h"

#include "attune/core/error.h"

namespace attune::text {

Json parse_json(std::string_view text, std::string_view where) {
  const auto shallow = [&](int depth, Json::parse_event_t, Json&) {
    check(depth <= 64, "{}: values are nested more than 64 deep.", where);
    return true;
  };
  try {
    return Json::parse(text, shallow);
  } catch (const Json::exception& error) {
    throw Error(fmt::format("{}: no valid JSON: {}", where, error.what()));
  }
}

const Json* find_field(const Json& object, std::string_view key, std::string_view where) {
  check(object.is_object(), "{}: expected an object, got {}.", where, object.type_name());
  const auto at = object.find(key);
  return at == object.end() || at->is_null() ? nullptr : &*at;
}

namespace {

const Json& required(const Json& object, std::string_view key, std::string_view where) {
  const Json* field = find_field(object, key, where);
  check(field != nullptr, "{}: \"{}\" is missing.", where, key);
  return *field;
}

void expect(bool ok,
            const Json& field,
            std::string_view key,
            std::string_view type,
            std::string_view where) {
  check(ok, "{}: \"{}\" must be {}, got {}.", where, key, type, field.type_name());
}

}  // namespace

const Json& array_field(const Json& object, std::string_view key, std::string_view where) {
  const Json& field = required(object, key, where);
  expect(field.is_array(), field, key, "an array", where);
  return field;
}

std::string text_field(const Json& object, std::string_view key, std::string_view where) {
  const Json& field = required(object, key, where);
  expect(field.is_string(), field, key, "a string", where);
  return field.get<std::string>();
}

int64_t int_field(const Json& object, std::string_view key, std::string_view where) {
  const Json& field = required(object, key, where);
  const bool fits = field.is_number_integer() &&
                    (!field.is_number_unsigned() || field.get<uint64_t>() <= INT64_MAX);
  expect(fits, field, key, "an integer", where);
  return field.get<int64_t>();
}

bool bool_field(const Json& object, std::string_view key, bool otherwise, std::string_view where) {
  const Json* field = find_field(object, key, where);
  if (field == nullptr) {
    return otherwise;
  }
  expect(field->is_boolean(), *field, key, "true or false", where);
  return field->get<bool>();
}

int64_t int_field(const Json& object,
                  std::string_view key,
                  int64_t otherwise,
                  std::string_view where) {
  return find_field(object, key, where) == nullptr ? otherwise : int_field(object, key, where);
}

std::string text_field(const Json& object,
                       std::string_view key,
                       std::string_view otherwise,
                       std::string_view where) {
  return find_field(object, key, where) == nullptr ? std::string(otherwise)
                                                   : text_field(object, key, where);
}

std::string type_of(const Json& component, std::string_view where) {
  return text_field(component, "type", where);
}

void unsupported(std::string_view where, std::string_view what) {
  throw Error(fmt::format(
      "{}: attune does not have \"{}\". Convert the tokenizer to one of BPE with the usual "
      "components, or report the model.",
      where,
      what));
}

PatternField pattern_field(const Json& component, std::string_view where) {
  const Json* pattern = find_field(component, "pattern", where);
  check(pattern != nullptr, "{}: \"pattern\" is missing.", where);
  if (find_field(*pattern, "String", where) != nullptr) {
    return {text_field(*pattern, "String", where), false};
  }
  return {text_field(*pattern, "Regex", where), true};
}

}  // namespace attune::text
