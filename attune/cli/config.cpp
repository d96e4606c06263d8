// attune config: check, resolve, import-trl, example, reference.
#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <locale>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attune/cli/examples.h"
#include "attune/cli/objectives.h"
#include "attune/cli/plain_commands.h"
#include "attune/cli/run_line.h"
#include "attune/config/describe.h"
#include "attune/config/trl.h"
#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/core/hint.h"
#include "attune/text/chat_template.h"
#include "attune/train/run_options.h"

namespace attune::cli {
namespace {

constexpr std::string_view kDefaultExample = "dpo-lora";

std::string read_input(const std::string& path) {
  if (path != "-") {
    return read_file(path);
  }
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

// Found when the model is read; here nothing is.
void check_template(const train::RunOptions& run) {
  const std::string& name = run.model.chat_template;
  const auto known = text::ChatTemplate::names();
  check(name == "auto" || std::ranges::find(known, name) != known.end(),
        "{}: model.chat_template: there is no \"{}\".{} attune knows {}",
        run.source,
        name,
        did_you_mean(name, known),
        fmt::join(known, ", "));
}

int check_run_file(Arguments arguments) {
  constexpr Usage kUsage{
      .name = "config check",
      .synopsis = "RUN.yaml",
      .about =
          "Reads a run file as attune train would, checks it, looks whether its paths are "
          "there, and prints what differs from the defaults.",
      .examples = "attune config check run.yaml",
      .most = 1};
  const std::optional<RunLine> line = read_run_line(kUsage, arguments);
  if (!line) {
    return kGood;
  }
  train::check_run(line->run);
  check_template(line->run);
  check_paths(line->run);
  fmt::print("{}: good. What differs from the defaults:\n", line->run.source);
  for (const config::Difference& difference : train::differs(line->run)) {
    fmt::print("  {}: {}   (default {})\n", difference.key, difference.after, difference.before);
  }
  return kGood;
}

int resolve(Arguments arguments) {
  constexpr Usage kUsage{
      .name = "config resolve",
      .synopsis = "RUN.yaml",
      .about =
          "Prints the run file with every option written out, flags included. Reading that "
          "gives the same run.",
      .examples = "attune config resolve run.yaml --optim.lr=1e-5 > resolved.yaml",
      .most = 1};
  const std::optional<RunLine> line = read_run_line(kUsage, arguments);
  if (line) {
    fmt::print("{}", train::to_yaml(line->run));
  }
  return kGood;
}

int import_trl(Arguments arguments) {
  CommandLine line({.name = "config import-trl",
                    .synopsis = "DPO.yaml",
                    .about = "Translates a YAML file of `trl dpo` into an attune run file on "
                             "stdout. TRL's defaults are written out; what has no counterpart is "
                             "named on stderr. - reads stdin.",
                    .examples = "attune config import-trl dpo.yaml > run.yaml",
                    .least = 1,
                    .most = 1});
  if (!line.parse(arguments)) {
    return kGood;
  }
  const std::string path = line.positional(0);
  const config::TrlImport imported = config::import_trl(read_input(path), path);
  train::read_run_text(imported.yaml, path + ", translated");  // its values must be in bounds
  Terminal terminal(line.log());
  for (const std::string& warning : imported.warnings) {
    terminal.warn(warning);
  }
  fmt::print("{}", imported.yaml);
  return kGood;
}

std::string example_names() {
  std::vector<std::string_view> names;
  std::ranges::transform(examples(), std::back_inserter(names), &Example::name);
  return fmt::format("{}", fmt::join(names, ", "));
}

int example(Arguments arguments) {
  const std::string about = fmt::format(
      "Prints a commented run file to fill in: one of {}, or a kind of objective as "
      "attune config objectives lists them; without a name {}.",
      example_names(),
      kDefaultExample);
  CommandLine line({.name = "config example",
                    .synopsis = "[NAME]",
                    .about = about,
                    .examples = "attune config example > run.yaml",
                    .most = 1});
  if (!line.parse(arguments)) {
    return kGood;
  }
  const std::string name = line.positional(0, kDefaultExample);
  if (const std::optional<std::string> text = objective_example(name)) {
    fmt::print("{}", *text);
    return kGood;
  }
  const auto found = std::ranges::find(examples(), name, &Example::name);
  if (found == examples().end()) {
    std::vector<std::string_view> names;
    std::ranges::transform(examples(), std::back_inserter(names), &Example::name);
    std::ranges::copy(train::objective_kinds(), std::back_inserter(names));
    const std::string hint = did_you_mean(name, names);
    throw Error(fmt::format("no example \"{}\".{}",
                            name,
                            hint.empty()
                                ? fmt::format(" There are: {}, and every kind of objective "
                                              "(attune config objectives lists them).",
                                              example_names())
                                : hint));
  }
  fmt::print("{}", found->text);
  return kGood;
}

int reference(Arguments arguments) {
  CommandLine line({.name = "config reference",
                    .synopsis = "[SECTION]",
                    .about = "Prints every option of a run file with default, bounds and meaning "
                             "as Markdown: docs/CONFIG.md is this text.",
                    .examples = "attune config reference optim",
                    .most = 1});
  if (!line.parse(arguments)) {
    return kGood;
  }
  const std::string wanted = line.positional(0);
  train::RunOptions defaults;
  std::vector<std::string_view> names{"objective"};
  std::string out;
  const auto add = [&](std::string_view name, const std::string& text) {
    if (wanted.empty() || wanted == name) {
      out += text;
    }
  };
  for (const config::SectionRef& section : train::list_sections(defaults)) {
    names.push_back(section.name);
    add(section.name,
        fmt::format("## {}\n\n{}{}.\n\n{}\n",
                    section.name,
                    std::toupper(section.summary[0], std::locale::classic()),
                    section.summary.substr(1),
                    config::markdown(section.fields)));
    if (section.name == "adapter") {
      add("objective", objective_reference());
    }
  }
  check(!out.empty(), "no section \"{}\".{}", wanted, did_you_mean(wanted, names));
  if (wanted.empty()) {
    fmt::print(
        "# Options of a run file\n\nMade by `attune config reference`; do not edit. Values come "
        "from the defaults, then the run file, then flags: `--optim.lr=1e-5`, "
        "`--adapter.targets=q_proj,o_proj`, `--objective.beta=0.2` (with several terms "
        "`--objective.1.beta=0.2`). An unknown name is an error.\n\n");
  }
  out.pop_back();  // sections end with an empty line between them
  fmt::print("{}", out);
  return kGood;
}

constexpr std::array kSubcommands{
    Command{"check", check_run_file},
    Command{"example", example},
    Command{"import-trl", import_trl},
    Command{"objectives", list_objectives},
    Command{"reference", reference},
    Command{"resolve", resolve},
};

constexpr std::string_view kHelp =
    R"(usage: attune config SUBCOMMAND ...

Check, resolve, import and explain run files.

  check RUN.yaml        would attune train take it? what differs from the defaults?
  resolve RUN.yaml      the run file with every option written out
  example [NAME]        a commented run file to fill in
  import-trl DPO.yaml   translate a YAML file of trl dpo
  objectives [KIND]     every kind of objective; one with options, paper and advice
  reference [SECTION]   every option with default, bounds and meaning

Examples
  attune config example > run.yaml
  attune config example kto > run.yaml
  attune config check run.yaml --optim.lr=1e-5
  attune config import-trl dpo.yaml > run.yaml

attune config SUBCOMMAND --help explains one.
)";

}  // namespace

int config(Arguments arguments) {
  if (!arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h")) {
    fmt::print("{}", kHelp);
    return kGood;
  }
  check(!arguments.empty(), "config needs a subcommand. Try: attune config --help");
  return run_command(kSubcommands, arguments, "config subcommand");
}

}  // namespace attune::cli
