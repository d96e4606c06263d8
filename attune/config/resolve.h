// What a set of options amounts to: written out in full, and compared with another set.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "attune/config/fields.h"

namespace attune::config {

/// One option that two sets disagree on, values as in a run file.
struct Difference {
  std::string key;     ///< "optim.lr".
  std::string before;  ///< The default, or the older run's value.
  std::string after;   ///< The value now.
};

/// Every field as a `name: value` line, `indent` spaces deep.
std::string fields_yaml(const std::vector<FieldRef>& fields, int indent);

/// The fields of one options struct that differ, keys as "path.name".
/// @param skip_may_change  Pass over what a resumed run may change.
std::vector<Difference> compare(const std::vector<FieldRef>& before,
                                const std::vector<FieldRef>& after,
                                std::string_view path,
                                bool skip_may_change);

/// A whole options struct as YAML that reads back to the same values exactly.
template <Options T>
std::string to_yaml(T options, int indent = 0) {
  return fields_yaml(list_fields(options), indent);
}

/// What differs from the defaults, for the start of a run.
template <Options T>
std::vector<Difference> differs(T options, std::string_view path) {
  T defaults;
  return compare(list_fields(defaults), list_fields(options), path, /*skip_may_change=*/false);
}

/// What differs and may not in a resumed run.
template <Options T>
std::vector<Difference> resume_difference(T older, T newer, std::string_view path) {
  return compare(list_fields(older), list_fields(newer), path, /*skip_may_change=*/true);
}

}  // namespace attune::config
