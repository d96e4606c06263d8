#include "attune/cli/run_line.h"

#include <filesystem>
#include <variant>

namespace attune::cli {

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
                     : train::read_run(std::filesystem::path(line.positional(0)), line.run_flags()),
                 line.log()};
}

void check_paths(const train::RunOptions& run) {
  const auto check_path = [&](std::string_view option, const std::string& path) {
    std::error_code failed;
    const bool there = std::filesystem::exists(path, failed);
    check(there || path.empty(),
          "{}: {}: {}: {}",
          run.source,
          option,
          path,
          failed ? failed.message() : "no such file or folder");
  };
  check_path("model.path", run.model.path);
  for (const std::string& path : run.data.train) {
    check_path("data.train", path);
  }
  for (const std::string& path : run.data.held_out) {
    check_path("data.held_out", path);
  }
  check_path("adapter.path", run.adapter.path);
  check_path("reference.path", run.reference.path);
}

}  // namespace attune::cli
