#include "attune/nn/attention_plan.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

namespace attune::nn {
namespace {

using tensor::Segment;
using tensor::Tree;

constexpr int64_t kQueryRows = 64;
// What is more than this share of all work is cut. The number is the same on every machine, since
// sums depend on the cut.
constexpr int64_t kTasks = 16;

// The queries that are asked for: those in `rows`, ascending, or all if there are none.
struct Wanted {
  std::span<const int64_t> rows;

  // The first at or behind `row`, or `none`.
  [[nodiscard]] int64_t next(int64_t row, int64_t none) const {
    if (rows.empty()) {
      return row;
    }
    const auto found = std::ranges::lower_bound(rows, row);
    return found == rows.end() ? none : *found;
  }
  // One past the last before `end`; there is one.
  [[nodiscard]] int64_t last(int64_t end) const {
    return rows.empty() ? end : *(std::ranges::lower_bound(rows, end) - 1) + 1;
  }
};

// The blocks of one segment.
std::vector<QueryBlock> blocks_of(const Tree& tree, int64_t s, const Wanted& wanted) {
  const Segment& own = tree.segments[static_cast<size_t>(s)];
  std::vector<QueryBlock> blocks;
  std::vector<KeyBlock> keys;
  int64_t column = 0;
  for (const int64_t a : tree.ancestors(s)) {
    const Segment& ancestor = tree.segments[static_cast<size_t>(a)];
    keys.push_back({ancestor.begin, ancestor.end, column});
    column += ancestor.end - ancestor.begin;
  }
  keys.push_back({own.begin, own.begin, column});
  for (int64_t begin = wanted.next(own.begin, own.end); begin < own.end;) {
    const int64_t end = wanted.last(std::min(own.end, begin + kQueryRows));
    keys.back().end = end;
    blocks.push_back({begin, end, keys, column + end - own.begin});
    begin = wanted.next(end, own.end);
  }
  return blocks;
}

class Planner {
 public:
  Planner(const Tree& tree, int64_t G, const Wanted& wanted)
      : tree_(tree), children_(tree.segments.size()) {
    std::vector<size_t> roots;
    for (size_t s = 0; s < tree.segments.size(); ++s) {
      const Segment& own = tree.segments[s];
      blocks_.push_back(blocks_of(tree, static_cast<int64_t>(s), wanted));
      costs_.push_back(0);
      for (const QueryBlock& block : blocks_.back()) {
        costs_.back() += cost_of(block);
      }
      (own.parent < 0 ? roots : children_[static_cast<size_t>(own.parent)]).push_back(s);
    }
    subtree_costs_ = costs_;
    int64_t total = 0;
    for (size_t s = tree.segments.size(); s-- > 0;) {
      const int64_t parent = tree.segments[s].parent;
      (parent < 0 ? total : subtree_costs_[static_cast<size_t>(parent)]) += subtree_costs_[s];
    }
    most_ = std::max<int64_t>(1, G * total / kTasks);
    for (const size_t root : roots) {
      add_subtrees({root});
    }
  }

  AttentionPlan plan() {
    return std::move(plan_);
  }

 private:
  static int64_t cost_of(const QueryBlock& block) {
    return (block.end - block.begin) * block.width;
  }

  // One family of all these siblings, or, where a single one is too much, of parts of it.
  void add_subtrees(std::vector<size_t> members) {
    if (members.size() == 1 && subtree_costs_[members[0]] > most_) {
      add_parts(members[0]);
      return;
    }
    AttentionFamily family = family_below(members[0]);
    for (size_t i = 0; i < members.size(); ++i) {
      const std::vector<size_t>& next = children_[members[i]];
      members.insert(members.end(), next.begin(), next.end());
    }
    std::ranges::sort(members);
    for (const size_t s : members) {
      family.segments.push_back({tree_.segments[s].begin, tree_.segments[s].end});
      std::ranges::move(blocks_[s], std::back_inserter(family.blocks));
      family.cost += costs_[s];
    }
    if (!family.blocks.empty()) {
      plan_.families.push_back(std::move(family));
    }
  }

  // The segment by itself, in several parts if need be, and its children, as many together as make
  // a task.
  void add_parts(size_t s) {
    std::vector<QueryBlock> blocks = std::move(blocks_[s]);
    const bool whole = costs_[s] <= most_;
    for (size_t i = 0; i < blocks.size();) {
      AttentionFamily family = family_below(s);
      while (i < blocks.size() && (whole || family.cost == 0 || family.cost < most_)) {
        family.cost += cost_of(blocks[i]);
        family.blocks.push_back(std::move(blocks[i++]));
      }
      family.segments.push_back({tree_.segments[s].begin, family.blocks.back().end});
      if (!whole) {
        ++family.shared;
        family.shared_tokens += family.segments.back().end - family.segments.back().begin;
      }
      plan_.families.push_back(std::move(family));
    }
    std::vector<size_t> together;
    int64_t cost = 0;
    for (const size_t child : children_[s]) {
      if (!together.empty() && cost + subtree_costs_[child] > most_) {
        add_subtrees(std::exchange(together, {}));
        cost = 0;
      }
      together.push_back(child);
      cost += subtree_costs_[child];
    }
    if (!together.empty()) {
      add_subtrees(std::move(together));
    }
  }

  // With the ancestors of `s`.
  [[nodiscard]] AttentionFamily family_below(size_t s) const {
    AttentionFamily family;
    for (const int64_t a : tree_.ancestors(static_cast<int64_t>(s))) {
      const Segment& ancestor = tree_.segments[static_cast<size_t>(a)];
      family.segments.push_back({ancestor.begin, ancestor.end});
      family.shared_tokens += ancestor.end - ancestor.begin;
    }
    family.shared = family.segments.size();
    return family;
  }

  const Tree& tree_;
  std::vector<std::vector<size_t>> children_;
  std::vector<std::vector<QueryBlock>> blocks_;  // of each segment, until a family has them
  std::vector<int64_t> costs_;
  std::vector<int64_t> subtree_costs_;
  int64_t most_ = 0;  // that one family is to cost
  AttentionPlan plan_;
};

}  // namespace

AttentionPlan plan_attention(const Tree& tree, int64_t G, std::span<const int64_t> queries) {
  AttentionPlan plan = Planner(tree, G, Wanted{queries}).plan();
  for (size_t f = 0; f < plan.families.size(); ++f) {
    for (int64_t g = 0; g < G; ++g) {
      plan.tasks.push_back({f, g, plan.families[f].cost});
    }
  }
  std::ranges::stable_sort(plan.tasks, std::greater{}, &AttentionTask::cost);
  return plan;
}

}  // namespace attune::nn
