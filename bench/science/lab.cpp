// attune's objectives on a toy language in which the best possible result is known exactly.
//
//   attune-lab [--experiment NAME] [--seeds N] [--svg FOLDER]
//
// Prints Markdown tables with means and 95 % intervals over the seeds, and writes
// FOLDER/lab-NAME.svg for each experiment. Without a name all experiments run: about ten minutes on
// one core with five seeds. The tables of docs/PAPERS.md are its output.
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "attune/core/error.h"
#include "attune/core/file.h"

#include "bench/science/experiments.h"

namespace {

int usage() {
  fmt::print(stderr, "usage: attune-lab [--experiment NAME] [--seeds N] [--svg FOLDER]\n");
  for (const auto& experiment : attune::science::experiments()) {
    fmt::print(stderr, "  {:13} {}\n", experiment.name, experiment.summary);
  }
  return 2;
}

int run(std::string_view wanted, int seeds, const std::string& folder) {
  bool found = false;
  for (const auto& experiment : attune::science::experiments()) {
    if (!wanted.empty() && wanted != experiment.name) {
      continue;
    }
    found = true;
    fmt::print(stderr, "{}\n", experiment.name);
    const auto begin = std::chrono::steady_clock::now();
    const attune::science::Report report = experiment.run(seeds);
    const double took_s =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    fmt::print("{}", report.markdown);
    std::fflush(stdout);
    fmt::print(stderr, "  {:.0f} s\n", took_s);
    if (!folder.empty()) {
      attune::write_file(fmt::format("{}/lab-{}.svg", folder, experiment.name), report.svg);
    }
  }
  return found ? 0 : usage();
}

}  // namespace

int main(int argc, char** argv) {
  std::string experiment, folder;
  int seeds = 8;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (i + 1 >= argc) {
      return usage();
    } else if (flag == "--experiment") {
      experiment = argv[i + 1];
    } else if (flag == "--seeds") {
      seeds = std::atoi(argv[i + 1]);
    } else if (flag == "--svg") {
      folder = argv[i + 1];
    } else {
      return usage();
    }
  }
  if (seeds < 2) {
    fmt::print(stderr, "attune-lab: --seeds must be 2 or more: an interval needs them\n");
    return 2;
  }
  try {
    return run(experiment, seeds, folder);
  } catch (const std::exception& error) {
    fmt::print(stderr, "attune-lab: {}\n", error.what());
    return 2;
  }
}
