#include "attune/nn/attention_plan.h"

#include <algorithm>

namespace attune::nn {
namespace {

using tensor::Segment;
using tensor::Tree;

constexpr int64_t kQueryRows = 64;

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
  AttentionPlan plan;
  std::vector<int64_t> costs;
  std::vector<size_t> family_of(tree.segments.size());
  for (size_t s = 0; s < tree.segments.size(); ++s) {
    const int64_t parent = tree.segments[s].parent;
    if (parent < 0) {
      family_of[s] = plan.families.size();
      plan.families.emplace_back();
      plan.segments.emplace_back();
      costs.push_back(0);
    } else {
      family_of[s] = family_of[static_cast<size_t>(parent)];
    }
    plan.segments[family_of[s]].push_back({tree.segments[s].begin, tree.segments[s].end});
    costs[family_of[s]] +=
        append_blocks(tree, static_cast<int64_t>(s), plan.families[family_of[s]]);
  }
  std::vector<AttentionTask> tasks;
  for (size_t f = 0; f < plan.families.size(); ++f) {
    for (int64_t g = 0; g < G; ++g) {
      tasks.push_back({static_cast<int64_t>(f), g, costs[f]});
    }
  }
  plan.shares = share_out(std::move(tasks), threads);
  return plan;
}

}  // namespace attune::nn
