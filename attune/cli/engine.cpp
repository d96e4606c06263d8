#include "attune/cli/engine.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "attune/core/error.h"
#include "attune/core/stop.h"

namespace attune::cli {

void become_engine(Arguments arguments) {
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const std::array places{here / "attune-engine",
                          here / ".." / "libexec" / "attune" / "attune-engine"};
  std::vector<std::string> texts{"attune"};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& text : texts) {
    argv.push_back(text.data());
  }
  argv.push_back(nullptr);
  std::fflush(stdout);
  // Threads that wait for each other by spinning for long take the cores from whatever else runs,
  // which more than halves the speed on a busy machine; those that sleep at once are woken too late
  // some thousand times a second, a tenth of the speed on an idle one. So they spin as long as a
  // tile takes and sleep then. It has to be said before the OpenMP library is loaded; what the user
  // has set stays.
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) {
    ::setenv("GOMP_SPINCOUNT", "2500", /*overwrite=*/0);
    ::setenv("KMP_BLOCKTIME", "1", /*overwrite=*/0);  // Intel's library, in milliseconds
  }
  hold_stop_signals();  // the engine takes a moment until it can answer
  for (const std::filesystem::path& place : places) {
    execv(place.c_str(), argv.data());
    check(errno == ENOENT, "{}: cannot be started: {}", place.string(), std::strerror(errno));
  }
  throw Error(
      fmt::format("attune {} needs the program attune-engine, which is not in {}. Build "
                  "with ATTUNE_TENSOR=ON, or install it there",
                  arguments.empty() ? "" : arguments[0],
                  here.string()));
}

}  // namespace attune::cli
