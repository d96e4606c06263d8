// attune-engine: the commands that need tensors. attune becomes it; nobody calls it by hand.
#include "attune/cli/engine_commands.h"
#include "attune/cli/frame.h"

int main(int argc, char** argv) {
  return attune::cli::run_framed(argc, argv, [](attune::cli::Arguments arguments) {
    return attune::cli::run_command(attune::cli::engine_commands(), arguments, "engine command");
  });
}
