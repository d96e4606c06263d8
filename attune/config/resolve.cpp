#include "attune/config/resolve.h"

#include <fmt/format.h>

#include "attune/core/error.h"

namespace attune::config {

std::string fields_yaml(const std::vector<FieldRef>& fields, int indent) {
  std::string out;
  for (const FieldRef& field : fields) {
    out += fmt::format("{:{}}{}: {}\n", "", indent, field.name, value_text(field.value));
  }
  return out;
}

std::vector<Difference> compare(const std::vector<FieldRef>& before,
                                const std::vector<FieldRef>& after,
                                std::string_view path,
                                bool skip_may_change) {
  ensure(before.size() == after.size(), "{}: two lists of fields to compare differ", path);
  std::vector<Difference> differences;
  for (size_t i = 0; i < before.size(); ++i) {
    std::string old_text = value_text(before[i].value);
    std::string new_text = value_text(after[i].value);
    if (old_text != new_text && !(skip_may_change && after[i].about.may_change)) {
      differences.push_back(
          {fmt::format("{}.{}", path, after[i].name), std::move(old_text), std::move(new_text)});
    }
  }
  return differences;
}

}  // namespace attune::config
