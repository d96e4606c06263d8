#include "attune/cli/engine_commands.h"

namespace attune::cli {

std::span<const Command> engine_commands() {
  return {};
}

}  // namespace attune::cli
