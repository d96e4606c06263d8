#include "attune/generate/choose.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace attune::generate {

int32_t choose(std::span<const float> logits,
               const GenerateOptions& options,
               RandomStream& random) {
  const auto better = [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)];
    const float y = logits[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  };
  std::vector<int32_t> ids;
  ids.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i])) {
      ids.push_back(static_cast<int32_t>(i));
    }
  }
  if (ids.empty()) {
    return 0;
  }
  if (options.temperature == 0) {
    return *std::min_element(ids.begin(), ids.end(), better);
  }
  if (options.top_k > 0 && options.top_k < static_cast<int64_t>(ids.size())) {
    std::partial_sort(ids.begin(), ids.begin() + options.top_k, ids.end(), better);
    ids.resize(static_cast<size_t>(options.top_k));
  } else {
    std::sort(ids.begin(), ids.end(), better);
  }
  const double top = logits[static_cast<size_t>(ids[0])];
  std::vector<double> mass;
  for (const int32_t id : ids) {
    mass.push_back(std::exp((static_cast<double>(logits[static_cast<size_t>(id)]) - top) /
                            options.temperature));
  }
  double total = std::accumulate(mass.begin(), mass.end(), 0.0);
  if (options.top_p < 1) {
    const double wanted = options.top_p * total;
    double held = 0;
    size_t kept = 0;
    while (kept < mass.size() && held < wanted) {
      held += mass[kept++];
    }
    mass.resize(std::max<size_t>(1, kept));
    total = std::accumulate(mass.begin(), mass.end(), 0.0);
  }
  double left = random.uniform() * total;
  for (size_t i = 0; i < mass.size(); ++i) {
    left -= mass[i];
    if (left < 0) {
      return ids[i];
    }
  }
  return ids[mass.size() - 1];
}

}  // namespace attune::generate
