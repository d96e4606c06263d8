// Options structs from and to sections. The templates only list an options struct's fields; all
// work is done on that list, in the .cpp files.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "attune/config/section.h"
#include "attune/core/field.h"

namespace attune::config {

/// A member of an options struct, whatever its type. Of an optional number, "unset" is written
/// `auto`; of other optionals, nothing.
using Member = std::variant<bool*,
                            int64_t*,
                            double*,
                            std::string*,
                            std::vector<std::string>*,
                            std::map<std::string, std::string>*,
                            std::optional<bool>*,
                            std::optional<int64_t>*,
                            std::optional<double>*,
                            std::optional<std::string>*>;

/// One option: its name, the member that holds it, and what is known of it.
struct FieldRef {
  std::string_view name;
  Member value;
  Field about;
};

/// The options of a struct, in the order of its fields(). The references live as long as `options`.
template <Options T>
std::vector<FieldRef> list_fields(T& options) {
  std::vector<FieldRef> list;
  options.fields([&list](std::string_view name, auto& member, const Field& about) {
    list.push_back({name, &member, about});
  });
  return list;
}

/// Fills `fields` from the mapping `section`. `path` is what messages put before a name: "optim".
/// Keys in `also` belong to someone else and are passed over.
/// @throws Error for an unknown key, a wrong type, a value out of bounds.
void read_into(const std::vector<FieldRef>& fields,
               const Section& section,
               std::string_view path,
               const std::vector<std::string_view>& also = {});

/// A T with its defaults and what `section` sets. See read_into.
template <Options T>
T read_fields(const Section& section, std::string_view path) {
  T options;
  read_into(list_fields(options), section, path);
  return options;
}

/// @throws Error if a value is out of its bounds: "dpo.beta must be > 0, got -1". For options that
/// come from code.
void check_values(const std::vector<FieldRef>& fields, std::string_view path);

/// check_values of an options struct.
template <Options T>
void check_fields(T options, std::string_view path) {
  check_values(list_fields(options), path);
}

/// The value as a person would write it in a run file, on one line: `5e-05`, `[q_proj, v_proj]`,
/// `auto`. Reading it back gives the same value exactly.
std::string value_text(const Member& value);

/// "number", "whole number", "text", "true or false", "list of texts", "mapping of texts".
std::string_view type_text(const Member& value);

}  // namespace attune::config
