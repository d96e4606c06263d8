// A run file as a set of sections, each the fields of one options struct.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attune/config/fields.h"
#include "attune/config/section.h"

namespace attune::config {

/// `--optim.lr=1e-5`: overrides one value of the run file.
struct Flag {
  std::string key;    ///< "optim.lr".
  std::string value;  ///< As written.
};

/// A section of the run file that is one options struct.
struct SectionRef {
  std::string_view name;
  std::string_view summary;  ///< One line, for people.
  std::vector<FieldRef> fields;
};

/// Sets every flag in the tree, later ones over earlier ones. Places become "--optim.lr".
void apply(Section& root, std::span<const Flag> flags);

/// Reads every section that `root` has into its fields. Keys of `root` in `also` belong to someone
/// else.
/// @throws Error as read_into; an unknown option that another section has is told so.
void read_sections(const std::vector<SectionRef>& sections,
                   const Section& root,
                   const std::vector<std::string_view>& also);

/// One entry of a list such as `objective`, before its own options are read.
struct TermSection {
  std::string kind;
  double weight = 1;
  std::string where;  ///< Place of the kind.
  Section options;    ///< The mapping without kind and weight.
};

/// Reads `kind` and `weight` of every entry of the list `section`; a mapping is a list of one, a
/// text an entry with this kind.
/// @param name   What messages call an entry: "objective".
/// @param kinds  The known kinds, the usual one first.
/// @throws Error for an unknown or missing kind, a weight that is not above 0, an empty list.
std::vector<TermSection> read_terms(const Section& section,
                                    std::string_view name,
                                    const std::vector<std::string_view>& kinds);

}  // namespace attune::config
