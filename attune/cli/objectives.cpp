#include "attune/cli/objectives.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attune/cli/command_line.h"
#include "attune/cli/examples.h"
#include "attune/cli/objective_help.h"
#include "attune/config/describe.h"
#include "attune/core/error.h"
#include "attune/core/hint.h"
#include "attune/objective/kinds.h"
#include "attune/train/run_options.h"

namespace attune::cli {
namespace {

constexpr std::string_view kFrame = "dpo-lora";  // the example whose objective is replaced

template <class Options>
std::string yaml_entry(Options options) {
  std::string out;
  if constexpr (requires { Options::kBeside; }) {
    out += fmt::format("  - kind: {}\n", Options::kBeside);
  }
  out += fmt::format(
      "  # {}\n  # advice: {}\n  - kind: {}\n", options.kSummary, options.kAdvice, options.kKind);
  for (const config::FieldRef& field : config::list_fields(options)) {
    out += fmt::format("    {:<34} # {}\n",
                       fmt::format("{}: {}", field.name, config::value_text(field.value)),
                       field.about.help);
  }
  return out;
}

}  // namespace

int list_objectives(Arguments arguments) {
  CommandLine line({.name = "config objectives",
                    .synopsis = "[KIND]",
                    .about = "Lists every kind of objective with what it learns from; with a kind, "
                             "its options, paper and recommended settings.",
                    .examples = "attune config objectives\n"
                                "attune config objectives kto\n"
                                "attune config example kto > run.yaml",
                    .most = 1});
  if (!line.parse(arguments)) {
    return kGood;
  }
  const std::string kind = line.positional(0);
  if (kind.empty()) {
    fmt::print("{}", objective_list());
    return kGood;
  }
  const std::optional<std::string> text = objective_help(kind);
  check(text.has_value(),
        "no objective \"{}\".{}",
        kind,
        did_you_mean(kind, train::objective_kinds()));
  fmt::print("{}", *text);
  return kGood;
}

std::string objective_reference() {
  std::string out =
      "## objective\n\nWhat is minimised: a list of terms, `- kind: ...`, whose weighted sum is "
      "the "
      "loss. Each term takes `kind`, `weight` (default `1`, > 0) and the options of its kind.\n\n"
      "| kind | learns from | what it is |\n|---|---|---|\n";
  objective::visit_kinds([&out](const auto& options) {
    out += fmt::format("| [`{}`](#kind-{}) | {} | {} |\n",
                       options.kKind,
                       options.kKind,
                       rows_of(options.kNeeds),
                       options.kSummary);
  });
  objective::visit_kinds([&out](auto options) {
    const auto fields = config::list_fields(options);
    out += fmt::format(
        "\n### kind: {}\n\n{}. Paper: [arXiv:{}](https://arxiv.org/abs/{}). Needs {}. Advice: "
        "{}.\n{}{}",
        options.kKind,
        options.kSummary,
        options.kPaper,
        options.kPaper,
        needs_text(options.kNeeds),
        options.kAdvice,
        fields.empty() ? "" : "\n",
        fields.empty() ? "" : config::markdown(fields));
  });
  return out + "\n";
}

std::optional<std::string> objective_example(std::string_view kind) {
  std::optional<std::string> entry;
  std::vector<std::string> columns;
  objective::visit_kinds([&](const auto& options) {
    if (kind == options.kKind) {
      entry = yaml_entry(options);
      if constexpr (requires { options.columns(); }) {
        columns = options.columns();
      }
    }
  });
  const auto frame = std::ranges::find(examples(), kFrame, &Example::name);
  ensure(frame != examples().end(), "no example {}", kFrame);
  if (!entry) {
    return std::nullopt;
  }
  constexpr std::string_view kHead = "objective:\n";
  std::string text(frame->text);
  const size_t begin = text.find(kHead) + kHead.size();
  const size_t end = text.find("\n\n", begin) + 1;
  text.replace(begin, end - begin, *entry);
  if (!columns.empty()) {
    text.insert(text.find("  held_out_fraction"),
                fmt::format("  {:<36} # columns of numbers, one for each completion\n",
                            fmt::format("values: [{}]", fmt::join(columns, ", "))));
  }
  // The first lines and the folder speak of the frame's own objective.
  const size_t title = text.find('\n');
  text.replace(0,
               title,
               fmt::format("# An objective of kind {} with LoRA: small matrices are added "
                           "to the",
                           kind));
  const size_t folder = text.find("out/dpo-lora");
  if (folder != std::string::npos) {
    text.replace(folder, std::string_view("out/dpo-lora").size(), fmt::format("out/{}", kind));
  }
  return text;
}

}  // namespace attune::cli
