#include "attune/nn/attention_plan.h"

#include <algorithm>
#include <utility>

namespace attune::nn {
namespace {

using tensor::Segment;
using tensor::Tree;

constexpr int64_t kQueryRows = 64;
// A subtree is cut where it is more than this share of all work. The number is the same on every
// machine, since sums depend on the cut.
constexpr int64_t kTasks = 16;

// Appends the blocks of one segment; returns their cost.
int64_t append_blocks(const Tree& tree, int64_t s, std::vector<QueryBlock>& blocks) {
  const Segment& own = tree.segments[static_cast<size_t>(s)];
  std::vector<KeyBlock> keys;
  int64_t column = 0;
  for (const int64_t a : tree.ancestors(s)) {
    const Segment& ancestor = tree.segments[static_cast<size_t>(a)];
    keys.push_back({ancestor.begin, ancestor.end, column});
    column += ancestor.end - ancestor.begin;
  }
  keys.push_back({own.begin, own.begin, column});
  int64_t cost = 0;
  for (int64_t begin = own.begin; begin < own.end; begin += kQueryRows) {
    const int64_t end = std::min(own.end, begin + kQueryRows);
    keys.back().end = end;
    blocks.push_back({begin, end, keys, column + end - own.begin});
    cost += (end - begin) * blocks.back().width;
  }
  return cost;
}

class Planner {
 public:
  Planner(const Tree& tree, int64_t G) : tree_(tree), G_(G), children_(tree.segments.size()) {
    std::vector<QueryBlock> blocks;
    for (size_t s = 0; s < tree.segments.size(); ++s) {
      costs_.push_back(append_blocks(tree, static_cast<int64_t>(s), blocks));
      total_ += costs_.back();
      if (const int64_t parent = tree.segments[s].parent; parent >= 0) {
        children_[static_cast<size_t>(parent)].push_back(s);
      }
    }
    subtree_costs_ = costs_;
    for (size_t s = tree.segments.size(); s-- > 0;) {
      if (const int64_t parent = tree.segments[s].parent; parent >= 0) {
        subtree_costs_[static_cast<size_t>(parent)] += subtree_costs_[s];
      }
    }
  }

  AttentionPlan plan() {
    for (size_t s = 0; s < tree_.segments.size(); ++s) {
      if (tree_.segments[s].parent < 0) {
        add_family(s);
      }
    }
    return std::move(plan_);
  }

 private:
  void add_family(size_t root) {
    AttentionFamily family;
    for (const int64_t a : tree_.ancestors(static_cast<int64_t>(root))) {
      const Segment& ancestor = tree_.segments[static_cast<size_t>(a)];
      family.segments.push_back({ancestor.begin, ancestor.end});
      family.ancestor_tokens += ancestor.end - ancestor.begin;
    }
    family.ancestors = family.segments.size();
    const bool alone = kTasks * subtree_costs_[root] > G_ * total_;
    std::vector<size_t> members{root};
    for (size_t i = 0; i < members.size() && !alone; ++i) {
      const std::vector<size_t>& next = children_[members[i]];
      members.insert(members.end(), next.begin(), next.end());
    }
    std::ranges::sort(members);
    for (const size_t s : members) {
      family.segments.push_back({tree_.segments[s].begin, tree_.segments[s].end});
      append_blocks(tree_, static_cast<int64_t>(s), family.blocks);
      family.cost += costs_[s];
    }
    plan_.families.push_back(std::move(family));
    for (size_t i = 0; i < children_[root].size() && alone; ++i) {
      add_family(children_[root][i]);
    }
  }

  const Tree& tree_;
  int64_t G_;
  std::vector<std::vector<size_t>> children_;
  std::vector<int64_t> costs_;
  std::vector<int64_t> subtree_costs_;
  int64_t total_ = 0;
  AttentionPlan plan_;
};

std::vector<std::vector<AttentionTask>> share_out(std::vector<AttentionTask> tasks,
                                                  int64_t threads) {
  std::stable_sort(tasks.begin(), tasks.end(), [](const AttentionTask& a, const AttentionTask& b) {
    return a.cost > b.cost;
  });
  std::vector<std::vector<AttentionTask>> shares(static_cast<size_t>(threads));
  std::vector<int64_t> load(static_cast<size_t>(threads));
  for (const AttentionTask& task : tasks) {
    const auto lightest = std::min_element(load.begin(), load.end()) - load.begin();
    shares[static_cast<size_t>(lightest)].push_back(task);
    load[static_cast<size_t>(lightest)] += task.cost;
  }
  return shares;
}

}  // namespace

AttentionPlan plan_attention(const Tree& tree, int64_t G, int64_t threads) {
  AttentionPlan plan = Planner(tree, G).plan();
  std::vector<AttentionTask> tasks;
  for (size_t f = 0; f < plan.families.size(); ++f) {
    for (int64_t g = 0; g < G; ++g) {
      tasks.push_back({f, g, plan.families[f].cost});
    }
  }
  plan.shares = share_out(std::move(tasks), threads);
  return plan;
}

}  // namespace attune::nn
