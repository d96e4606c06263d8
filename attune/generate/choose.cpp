#include "attune/generate/choose.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace attune::generate {
namespace {

// Ids in the order of their logits, sorted only as far as someone asks: usually some dozens.
class Ranking {
 public:
  explicit Ranking(std::span<const float> logits) : logits_(logits) {
    ids_.reserve(logits.size());
    for (size_t i = 0; i < logits.size(); ++i) {
      if (!std::isnan(logits[i])) {
        ids_.push_back(static_cast<int32_t>(i));
      }
    }
  }
  [[nodiscard]] size_t size() const {
    return ids_.size();
  }
  /// Forgets all but the first `count`.
  void keep(size_t count) {
    sort_to(count);
    ids_.resize(count);
  }
  /// Of a function of all ids that are left, in any order.
  template <class Mass>
  [[nodiscard]] double sum(const Mass& mass) const {
    double total = 0;
    for (const int32_t id : ids_) {
      total += mass(id);
    }
    return total;
  }
  /// The id of a rank; 0 is the likeliest.
  int32_t at(size_t rank) {
    if (rank >= sorted_) {
      sort_to(std::min(ids_.size(), std::max<size_t>(64, 4 * (rank + 1))));
    }
    return ids_[rank];
  }

 private:
  void sort_to(size_t count) {
    if (count <= sorted_) {
      return;
    }
    const auto better = [&](int32_t a, int32_t b) {
      const float x = logits_[static_cast<size_t>(a)];
      const float y = logits_[static_cast<size_t>(b)];
      return x > y || (x == y && a < b);
    };
    const auto begin = ids_.begin() + static_cast<std::ptrdiff_t>(sorted_);
    const auto end = ids_.begin() + static_cast<std::ptrdiff_t>(count);
    if (end != ids_.end()) {
      std::nth_element(begin, end, ids_.end(), better);
    }
    std::sort(begin, end, better);
    sorted_ = count;
  }

  std::span<const float> logits_;
  std::vector<int32_t> ids_;
  size_t sorted_ = 0;
};

// Of equals the first.
int32_t likeliest(std::span<const float> logits) {
  size_t best = 0;
  while (best < logits.size() && std::isnan(logits[best])) {
    ++best;
  }
  if (best == logits.size()) {
    return 0;
  }
  for (size_t i = best + 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best]) {
      best = i;
    }
  }
  return static_cast<int32_t>(best);
}

}  // namespace

int32_t choose(std::span<const float> logits,
               const GenerateOptions& options,
               RandomStream& random) {
  if (options.temperature == 0) {
    return likeliest(logits);
  }
  Ranking ranking(logits);
  if (ranking.size() == 0) {
    return 0;
  }
  if (options.top_k > 0 && options.top_k < static_cast<int64_t>(ranking.size())) {
    ranking.keep(static_cast<size_t>(options.top_k));
  }
  const double top = logits[static_cast<size_t>(ranking.at(0))];
  if (!std::isfinite(top)) {
    return ranking.at(0);
  }
  const auto mass = [&](int32_t id) {
    return std::exp((static_cast<double>(logits[static_cast<size_t>(id)]) - top) /
                    options.temperature);
  };
  const double total = ranking.sum(mass);
  size_t kept = ranking.size();
  double held = total;
  if (options.top_p < 1) {
    held = 0;
    for (kept = 0; kept < ranking.size() && held < options.top_p * total; ++kept) {
      held += mass(ranking.at(kept));
    }
  }
  double left = random.uniform() * held;
  for (size_t i = 0; i < kept; ++i) {
    left -= mass(ranking.at(i));
    if (left < 0) {
      return ranking.at(i);
    }
  }
  return ranking.at(kept - 1);
}

}  // namespace attune::generate
