// Names of options that people bring from TRL, PEFT and transformers.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace attune::config {

/// " Here it is optim.lr; a whole file of TRL's: attune config import-trl" for an option's name
/// elsewhere, "learning_rate"; "" if it is none.
std::string here_it_is(std::string_view name);

/// What to say of an option that section `path` does not have: the nearest of `names`, or of the
/// names that others have for this section's options, with ours; "" if none is near.
std::string option_hint(std::string_view name,
                        std::string_view path,
                        std::span<const std::string_view> names);

}  // namespace attune::config
