#include "attune/cli/objective_help.h"

#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attune/config/describe.h"
#include "attune/objective/kinds.h"

namespace attune::cli {
namespace {

template <class Options>
std::string about(Options options) {
  return fmt::format(
      "{}: {}\n\n{}\n  needs   {}\n  paper   https://arxiv.org/abs/{}\n  advice  {}\n",
      options.kKind,
      options.kSummary,
      config::help(config::list_fields(options), "--objective."),
      needs_text(options.kNeeds),
      options.kPaper,
      options.kAdvice);
}

}  // namespace

std::string_view rows_of(const objective::Needs& needs) {
  switch (needs.unit) {
    case objective::Unit::kLabel:
      return "labels";
    case objective::Unit::kGroup:
      return "rankings";
    case objective::Unit::kPair:
      break;
  }
  return needs.scores ? "scored pairs" : "pairs";
}

std::string needs_text(const objective::Needs& needs) {
  std::vector<std::string> parts{fmt::format("rows with {}", rows_of(needs))};
  if (needs.reference) {
    parts.emplace_back("a reference");
  }
  if (needs.divergence || needs.mismatched) {
    parts.emplace_back("the reference in memory (reference.kind base or model)");
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string objective_list() {
  std::string out;
  objective::visit_kinds([&out](const auto& options) {
    out +=
        fmt::format("{:<18}{:<14}{}\n", options.kKind, rows_of(options.kNeeds), options.kSummary);
  });
  return out;
}

std::optional<std::string> objective_help(std::string_view kind) {
  std::optional<std::string> found;
  objective::visit_kinds([&](const auto& options) {
    if (kind == options.kKind) {
      found = about(options);
    }
  });
  return found;
}

std::string objectives_help() {
  std::string out =
      "The objective is a list of terms; their weighted sum is the loss. On the command line,\n"
      "--objective.kind=ipo --objective.tau=0.2 is the first of them.\n";
  objective::visit_kinds([&out](const auto& options) { out += "\n" + about(options); });
  return out;
}

}  // namespace attune::cli
