// attune-engine: the commands that need tensors. attune becomes it; nobody calls it by hand.
#include "attune/cli/engine_commands.h"
#include "attune/cli/frame.h"
#include "attune/tensor/allocator.h"

int main(int argc, char** argv) {
  attune::tensor::use_block_cache();
  return attune::cli::run_framed(argc, argv, [](attune::cli::Arguments arguments) {
    return attune::cli::run_command(attune::cli::engine_commands(), arguments, "engine command");
  });
}
