// Every command that attune has, in both programs: for help, hints and the choice of the program.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace attune::cli {

/// One line of `attune --help`.
struct CatalogEntry {
  std::string_view group;    ///< Its heading.
  std::string_view name;     ///< As typed.
  std::string_view summary;  ///< Lower case, no full stop.
  bool engine = false;       ///< Needs tensors: attune-engine runs it.
};

/// In the order of the help.
std::span<const CatalogEntry> catalog();

/// The entry of that name. @throws Error with the nearest name if there is none.
const CatalogEntry& find_in_catalog(std::string_view name);

/// What `attune --help` prints.
std::string overview();

}  // namespace attune::cli
