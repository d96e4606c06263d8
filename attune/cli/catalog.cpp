#include "attune/cli/catalog.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "attune/core/error.h"
#include "attune/core/hint.h"
#include "attune/core/version.h"

namespace attune::cli {
namespace {

constexpr bool kEngine = true;

constexpr std::array kCatalog{
    CatalogEntry{"Start", "demo", "tune a small real model in minutes and see the change", kEngine},
    CatalogEntry{"Start", "doctor", "what this machine can do, measured", kEngine},
    CatalogEntry{"Tune", "plan", "memory and time of a run, before anything is loaded", kEngine},
    CatalogEntry{"Tune", "train", "tune a model on preferences; resumes by itself", kEngine},
    CatalogEntry{"Tune", "merge", "fold an adapter into its model", kEngine},
    CatalogEntry{"Use", "chat", "talk with a model", kEngine},
    CatalogEntry{"Use", "generate", "continue a prompt", kEngine},
    CatalogEntry{"Use", "score", "log-probs and implicit rewards, row by row", kEngine},
    CatalogEntry{"Look", "config", "check, resolve, import and explain run files"},
    CatalogEntry{"Look", "data", "count and convert preference files"},
    CatalogEntry{"Look", "inspect", "what is inside a model, adapter or checkpoint"},
    CatalogEntry{"Look", "help", "explain a command"},
};

}  // namespace

std::span<const CatalogEntry> catalog() {
  return kCatalog;
}

const CatalogEntry& find_in_catalog(std::string_view name) {
  const auto found = std::ranges::find(kCatalog, name, &CatalogEntry::name);
  if (found != kCatalog.end()) {
    return *found;
  }
  std::vector<std::string_view> names;
  for (const CatalogEntry& entry : kCatalog) {
    names.push_back(entry.name);
  }
  const std::string hint = did_you_mean(name, names);
  throw Error(fmt::format(
      "no command \"{}\".{}", name, hint.empty() ? " All commands: attune --help" : hint));
}

std::string overview() {
  std::string out = fmt::format(
      "attune {}: tunes language models on preferences\n\nusage: attune COMMAND ...\n", kVersion);
  std::string_view group;
  for (const CatalogEntry& entry : kCatalog) {
    if (entry.group != group) {
      group = entry.group;
      out += fmt::format("\n{}\n", group);
    }
    out += fmt::format("  {:<10}{}\n", entry.name, entry.summary);
  }
  out +=
      "\nFirst steps\n"
      "  attune demo                                  the whole story, nothing to prepare\n"
      "  attune config example > run.yaml             a run file to fill in\n"
      "  attune train run.yaml --optim.lr=1e-5        flags override the run file\n"
      "\nattune help COMMAND explains one command. attune --version prints the version.\n"
      "Results go to stdout, progress and errors to stderr. Exit codes: 0 good, 2 something to\n"
      "mend, 70 a bug in attune, 130 stopped by Ctrl-C.\n";
  return out;
}

}  // namespace attune::cli
