#include "attune/nn/attention_shared.h"

#include "attune/nn/attention_lines.h"
#include "attune/tensor/parallel.h"

namespace attune::nn {
namespace {

std::vector<float>& numbers() {
  thread_local std::vector<float> numbers;
  return numbers;
}

}  // namespace

SharedSlopes::SharedSlopes(const AttentionInput<float>& in, const AttentionPlan& plan)
    : in_(in), plan_(plan), slopes_(numbers()) {
  int64_t size = 0;
  for (const AttentionFamily& family : plan.families) {
    places_.push_back(size);
    size += 2 * in.G * family.shared_tokens * in.E;
  }
  if (static_cast<int64_t>(slopes_.size()) < size) {
    slopes_.resize(static_cast<size_t>(size));
  }
}

float* SharedSlopes::keys(size_t family, int64_t kv_head) const {
  const int64_t tokens = plan_.families[family].shared_tokens;
  return slopes_.data() + places_[family] + kv_head * tokens * in_.E;
}

void SharedSlopes::add_to(const AttentionSlopes<float>& slopes) const {
  tensor::share_out(in_.G, 1, [&](int64_t begin, int64_t end) {
    for (size_t f = 0; f < plan_.families.size(); ++f) {
      for (int64_t g = begin; g < end; ++g) {
        add_family(f, g, slopes);
      }
    }
  });
}

void SharedSlopes::add_family(size_t f, int64_t g, const AttentionSlopes<float>& slopes) const {
  const AttentionFamily& family = plan_.families[f];
  const float* dk = keys(f, g);
  const float* dv = values(f, g);
  for (size_t s = 0; s < family.shared; ++s) {
    for (int64_t t = family.segments[s].begin; t < family.segments[s].end; ++t) {
      const int64_t to = (t * in_.G + g) * in_.E;
      add(dk, in_.E, slopes.dk + to);
      add(dv, in_.E, slopes.dv + to);
      dk += in_.E;
      dv += in_.E;
    }
  }
}

}  // namespace attune::nn
