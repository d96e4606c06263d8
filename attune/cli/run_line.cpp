#include "attune/cli/run_line.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include <fmt/ranges.h>

#include "attune/cli/objective_help.h"
#include "attune/config/describe.h"
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

// The options of one section of the run file; of `objective`, every kind or one.
std::string topic_help(std::string_view topic, std::string_view kind) {
  train::RunOptions defaults;
  std::vector<std::string_view> names{"objective"};
  const std::vector<config::SectionRef> sections = train::list_sections(defaults);
  for (const config::SectionRef& section : sections) {
    if (section.name == topic) {
      return config::help(section.fields, fmt::format("--{}.", topic));
    }
    names.push_back(section.name);
  }
  if (topic == "objective" && kind.empty()) {
    return objectives_help();
  }
  const std::string_view wanted = topic == "objective" ? kind : topic;
  if (const std::optional<std::string> text = objective_help(wanted)) {
    return *text;
  }
  std::ranges::copy(train::objective_kinds(), std::back_inserter(names));
  throw Error(fmt::format("no help on \"{}\".{} There is help on {} and every kind of objective",
                          wanted,
                          did_you_mean(wanted, names),
                          fmt::join(names.begin(), names.begin() + 1 + sections.size(), ", ")));
}

// What to do about the id of a model on the hub, "org/name".
std::string hub_hint(const std::string& path) {
  const size_t slash = path.find('/');
  const bool like_an_id = slash != 0 && slash != path.npos && slash + 1 < path.size() &&
                          path.find('/', slash + 1) == path.npos && path[0] != '.' &&
                          !path.ends_with(".gguf") && !fs::exists(path.substr(0, slash));
  return like_an_id ? fmt::format(
                          ". If it is a model on the Hugging Face hub: hf download {} "
                          "--local-dir models/{}, and name that folder",
                          path,
                          path.substr(slash + 1))
                    : "";
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
        "checkpoint of the same run, training goes on from there. --help SECTION explains the "
        "options of a section, --help objective every objective, --help kto that one.",
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
  if (arguments.size() >= 2 && arguments[0] == "--help") {
    fmt::print("{}", topic_help(arguments[1], arguments.size() > 2 ? arguments[2] : ""));
    return std::nullopt;
  }
  train::RunOptions defaults;
  std::vector<std::string> switches;
  for (const config::SectionRef& section : train::list_sections(defaults)) {
    for (const config::FieldRef& field : section.fields) {
      if (std::holds_alternative<bool*>(field.value) ||
          std::holds_alternative<std::optional<bool>*>(field.value)) {
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
        failed ? failed.message()
               : "no such file or folder" + near_file(path) +
                     (what.ends_with("model.path") || what == "model" ? hub_hint(path) : ""));
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
  for (const std::string& path : run.reference.paths) {
    check_option("reference.paths", path);
  }
}

}  // namespace attune::cli
