#include "attune/train/usable.h"

#include <algorithm>
#include <variant>

#include "attune/core/error.h"

namespace attune::train {
namespace {

using objective::Unit;

bool has_items(Unit unit, const data::GroupItems& items) {
  return unit == Unit::kPair    ? items.compared
         : unit == Unit::kLabel ? items.labelled()
                                : items.ranked;
}

// The kinds that learn from labels, for a hint; empty if there are none.
std::string kinds_of(Unit unit) {
  std::vector<std::string_view> kinds;
  objective::visit_kinds([&](const auto& options) {
    if (options.kNeeds.unit == unit) {
      kinds.push_back(options.kKind);
    }
  });
  return fmt::format("{}", fmt::join(kinds, ", "));
}

[[noreturn]] void refuse_items(const objective::TermOptions& term, std::string_view where) {
  const Unit unit = objective::needs_of(term).unit;
  if (unit == Unit::kPair) {
    const std::string others = kinds_of(Unit::kLabel);
    throw Error(fmt::format(
        "objective {} needs comparisons; {} has none, nor has any other row (columns chosen and "
        "rejected, or completions and scores, or name them in data.columns){}",
        term.kind,
        where,
        others.empty() ? "" : ". Objectives for rows with a label: " + others));
  }
  if (unit == Unit::kLabel) {
    throw Error(fmt::format(
        "objective {} needs completions that are desirable or not; {} has none, nor has any other "
        "row (columns completion and label, or chosen and rejected, or name them in data.columns)",
        term.kind,
        where));
  }
  throw Error(fmt::format(
      "objective {} needs a ranking of all completions; {} has none, nor has any other row "
      "(columns completions and ranking, or scores, or name them in data.columns)",
      term.kind,
      where));
}

[[noreturn]] void refuse_scores(const objective::TermOptions& term,
                                const data::TokenCache& cache,
                                int64_t group) {
  const int32_t K = cache.num_completions(group);
  const std::string_view columns = K == 1   ? "column score"
                                   : K == 2 ? "columns score_chosen and score_rejected"
                                            : "column scores";
  throw Error(
      fmt::format("objective {} needs a score for every completion; {} has none ({}, or name {} in "
                  "data.columns)",
                  term.kind,
                  cache.where(group),
                  columns,
                  K == 2 ? "them" : "it"));
}

// Whether the term learns from the group. @throws Error if it would, but for the scores.
bool takes(const objective::TermOptions& term, const data::TokenCache& cache, int64_t group) {
  const objective::Needs& needs = objective::needs_of(term);
  const data::GroupItems items = cache.items(group);
  const bool takes_it = has_items(needs.unit, items);
  if (takes_it && needs.scores && !items.scored) {
    refuse_scores(term, cache, group);
  }
  return takes_it;
}

// What the rows that a term learns from have, all together.
struct Found {
  bool any = false;
  bool desirable = false;
  bool undesirable = false;
};

bool needs_both_sides(const objective::TermOptions& term) {
  return std::visit(
      [](const auto& own) {
        return requires {
          own.kBothSides;
        };
      },
      term.options);
}

// Labels of one side say what to raise, or what to lower, and not what to tell apart: an error for
// what compares the two, else a warning.
void check_sides(const objective::TermOptions& term, const Found& found, Watcher& watcher) {
  if (objective::needs_of(term).unit != Unit::kLabel || found.desirable == found.undesirable) {
    return;
  }
  const std::string only = fmt::format("the rows have only {} ones (column label)",
                                       found.desirable ? "desirable" : "undesirable");
  check(!needs_both_sides(term),
        "objective {} needs both desirable and undesirable completions; {}",
        term.kind,
        only);
  watcher.warn(fmt::format(
      "objective {} is meant for both desirable and undesirable completions; {}", term.kind, only));
}

}  // namespace

void keep_usable(const std::vector<objective::TermOptions>& terms,
                 const data::TokenCache& cache,
                 std::vector<int64_t>& groups,
                 bool all,
                 Watcher& watcher) {
  std::vector<Found> found(terms.size());
  const size_t count = groups.size();
  size_t kept = 0;  // groups[0 .. kept) are
  const int64_t front = groups.empty() ? -1 : groups.front();
  int64_t first_left = -1;
  for (const int64_t group : groups) {
    bool keep = false;
    for (size_t k = 0; k < terms.size(); ++k) {
      const bool takes_it = takes(terms[k], cache, group);
      if (takes_it) {
        const data::GroupItems items = cache.items(group);
        found[k].any = true;
        found[k].desirable = found[k].desirable || items.desirable;
        found[k].undesirable = found[k].undesirable || items.undesirable;
      }
      keep = keep || takes_it;
    }
    if (keep) {
      groups[kept++] = group;
    } else if (first_left < 0) {
      first_left = group;
    }
  }
  for (size_t k = 0; all && count > 0 && k < terms.size(); ++k) {
    if (!found[k].any) {
      refuse_items(terms[k], cache.where(front));
    }
    check_sides(terms[k], found[k], watcher);
  }
  if (first_left >= 0) {
    watcher.warn(
        fmt::format("{} of the {} rows are left out: they hold nothing that the objective "
                    "learns from (first: {})",
                    count - kept,
                    count,
                    cache.where(first_left)));
  }
  groups.resize(kept);
}

}  // namespace attune::train
