// What people read about options: --help on a terminal, docs/CONFIG.md in a browser.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "attune/config/fields.h"

namespace attune::config {

/// "> 0", "1 to 65536", "lora | none", or "" if anything goes.
std::string bounds_text(const FieldRef& field);

/// Two lines a field, for a terminal 80 wide: the flag with its default, and what it does.
/// @param prefix  Before each name: "--optim." or "--".
std::string help(const std::vector<FieldRef>& fields, std::string_view prefix);

/// A table of name, default, allowed values and help, for docs/CONFIG.md.
std::string markdown(const std::vector<FieldRef>& fields);

/// `text` broken at spaces into lines of at most `width` letters, each `indent` spaces deep.
std::string wrap(std::string_view text, size_t indent, size_t width);

}  // namespace attune::config
