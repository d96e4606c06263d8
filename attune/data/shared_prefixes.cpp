#include "attune/data/shared_prefixes.h"

#include <algorithm>
#include <numeric>

namespace attune::data {
namespace {

constexpr int32_t kShortest = 4;

class Builder {
 public:
  explicit Builder(std::span<const std::span<const int32_t>> prompts) : prompts_(prompts) {
    tree_.run_of.assign(prompts.size(), -1);
    sorted_.resize(prompts.size());
    std::iota(sorted_.begin(), sorted_.end(), size_t{0});
    std::ranges::stable_sort(sorted_, [&](size_t a, size_t b) {
      return std::ranges::lexicographical_compare(prompts[a], prompts[b]);
    });
    common_.resize(prompts.size());
    for (size_t i = 1; i < sorted_.size(); ++i) {
      const auto [a, b] = std::ranges::mismatch(prompts[sorted_[i - 1]], prompts[sorted_[i]]);
      common_[i] = static_cast<int32_t>(a - prompts[sorted_[i - 1]].begin());
    }
  }

  SharedPrefixes build() {
    add_runs(0, sorted_.size(), -1, 0);
    return std::move(tree_);
  }

 private:
  // Prompts sorted_[first, last) share their first `depth` tokens, which end with run `parent`.
  void add_runs(size_t first, size_t last, int32_t parent, int32_t depth) {
    for (size_t begin = first; begin < last;) {
      size_t end = begin + 1;
      while (end < last && common_[end] >= depth + kShortest) {
        ++end;
      }
      if (end - begin > 1) {
        const int32_t shared = *std::min_element(common_.begin() + static_cast<int64_t>(begin) + 1,
                                                 common_.begin() + static_cast<int64_t>(end));
        const auto run = static_cast<int32_t>(tree_.runs.size());
        tree_.runs.push_back(
            {.parent = parent, .prompt = sorted_[begin], .begin = depth, .end = shared});
        for (size_t i = begin; i < end; ++i) {
          tree_.run_of[sorted_[i]] = run;
        }
        add_runs(begin, end, run, shared);
      }
      begin = end;
    }
  }

  std::span<const std::span<const int32_t>> prompts_;
  std::vector<size_t> sorted_;   // prompts in the order of their tokens
  std::vector<int32_t> common_;  // tokens that sorted_[i] shares with sorted_[i - 1]
  SharedPrefixes tree_;
};

}  // namespace

SharedPrefixes share_prefixes(std::span<const std::span<const int32_t>> prompts) {
  return Builder(prompts).build();
}

}  // namespace attune::data
