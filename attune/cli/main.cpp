// attune: the program that people call. It never loads LibTorch.
#include "attune/cli/frame.h"
#include "attune/cli/plain_commands.h"

int main(int argc, char** argv) {
  return attune::cli::run_framed(argc, argv, attune::cli::run_plain);
}
