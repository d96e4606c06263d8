#include "attune/cli/run_line.h"

#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "attune/core/error.h"
#include "attune/core/hint.h"

namespace attune::cli {
namespace {

namespace fs = std::filesystem;

// " Did you mean \"rows.jsonl\"?" for the nearest name beside `path`, or "".
std::string near_file(const fs::path& path) {
  constexpr size_t kMostNames = 2000;
  std::vector<std::string> names;
  std::error_code ignored;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    if (names.size() == kMostNames) {
      return "";
    }
    names.push_back(entry->path().filename().string());
  }
  const std::string hint = did_you_mean(path.filename().string(), names);
  return hint.empty() ? "" : "." + hint;
}

train::RunOptions read_named_run(const fs::path& path, const std::vector<config::Flag>& flags) {
  std::error_code failed;
  check(fs::exists(path, failed) || failed, "{}: no such file{}", path.string(), near_file(path));
  return train::read_run(path, flags);
}

}  // namespace

const Usage kTrainUsage{
    .name = "train",
    .synopsis = "RUN.yaml",
    .about =
        "Tunes a model on preferences as the run file says. If train.output holds a "
        "checkpoint of the same run, training goes on from there.",
    .examples =
        "attune config example > run.yaml\n"
        "attune train run.yaml\n"
        "attune train run.yaml --optim.lr=1e-5 --objective.beta=0.2",
    .least = 0,
    .most = 1};

const Usage kPlanUsage{
    .name = "plan",
    .synopsis = "RUN.yaml",
    .about =
        "Says how much memory and time a run will take, part by part, before anything is "
        "loaded.",
    .examples = "attune plan run.yaml\nattune plan run.yaml --adapter.kind=none",
    .least = 0,
    .most = 1};

std::optional<RunLine> read_run_line(const Usage& usage, Arguments arguments) {
  CommandLine line(usage);
  return read_run_line(line, arguments);
}

std::optional<RunLine> read_run_line(CommandLine& line, Arguments arguments) {
  train::RunOptions defaults;
  std::vector<std::string> switches;
  for (const config::SectionRef& section : train::list_sections(defaults)) {
    for (const config::FieldRef& field : section.fields) {
      if (std::holds_alternative<bool*>(field.value)) {
        switches.push_back(fmt::format("{}.{}", section.name, field.name));
      }
    }
  }
  line.take_run_flags(std::move(switches));
  if (!line.parse(arguments)) {
    return std::nullopt;
  }
  check(!line.positionals().empty() || !line.run_flags().empty(),
        "no run file. A start: attune config example > run.yaml");
  return RunLine{line.positionals().empty()
                     ? train::read_run_text("", "command line", line.run_flags())
                     : read_named_run(line.positional(0), line.run_flags()),
                 line.log()};
}

void check_path(std::string_view what, const std::string& path) {
  std::error_code failed;
  const bool there = fs::exists(path, failed);
  check(there || path.empty(),
        "{}: {}: {}",
        what,
        path,
        failed ? failed.message() : "no such file or folder" + near_file(path));
}

void check_paths(const train::RunOptions& run) {
  const auto check_option = [&](std::string_view option, const std::string& path) {
    check_path(fmt::format("{}: {}", run.source, option), path);
  };
  check_option("model.path", run.model.path);
  for (const std::string& path : run.data.train) {
    check_option("data.train", path);
  }
  for (const std::string& path : run.data.held_out) {
    check_option("data.held_out", path);
  }
  check_option("adapter.path", run.adapter.path);
  check_option("reference.path", run.reference.path);
}

}  // namespace attune::cli
