#include "attune/train/reference.h"

#include <cmath>
#include <unordered_map>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/stack.h>

#include "attune/core/error.h"

namespace attune::train {
namespace {

class BaseReference : public Reference {
 public:
  BaseReference(const model::Decoder& model, const objective::Needs& needs)
      : model_(model), needs_{.tokens = needs.tokens}, both_(needs.divergence) {}

  objective::SequenceLogps logps(const PreferenceBatch& batch) override {
    const at::NoGradGuard no_grad;
    return score(rows(batch), batch, {.needs = needs_});
  }

  HeadRows rows(const PreferenceBatch& batch) override {
    const at::NoGradGuard no_grad;
    if (last_tree_ != nullptr && last_tree_ == batch.tree) {
      return last_;
    }
    HeadRows rows = head_rows(model_, batch, {.adapters = false});
    if (both_) {
      last_tree_ = batch.tree;  // held, so that no other batch gets its address
      last_ = rows;
    }
    return rows;
  }

 private:
  const model::Decoder& model_;
  objective::Needs needs_;
  bool both_;  // rows are asked for too
  std::shared_ptr<const tensor::Tree> last_tree_;
  HeadRows last_;
};

class ModelReference : public BaseReference {
 public:
  ModelReference(std::unique_ptr<model::Decoder> model, const objective::Needs& needs)
      : BaseReference(*model, needs), kept_(std::move(model)) {}

 private:
  std::unique_ptr<model::Decoder> kept_;
};

class MixedReference : public Reference {
 public:
  MixedReference(std::vector<WeightedReference> shares, Mix mix)
      : shares_(std::move(shares)), mix_(mix) {}

  objective::SequenceLogps logps(const PreferenceBatch& batch) override {
    std::vector<at::Tensor> sums;
    std::vector<at::Tensor> tokens;
    objective::SequenceLogps mixed{.count_S = batch.count_S};
    for (const WeightedReference& share : shares_) {
      const objective::SequenceLogps one = share.reference->logps(batch);
      const double a = share.weight;
      sums.push_back(mix_ == Mix::kGeometric ? a * one.sum_S : std::log(a) - one.sum_S);
      if (mix_ == Mix::kGeometric && one.token_C.defined()) {
        tokens.push_back(a * one.token_C);
      }
    }
    mixed.sum_S = mix_ == Mix::kGeometric ? at::stack(sums).sum(0) : -at::stack(sums).logsumexp(0);
    if (!tokens.empty()) {
      mixed.token_C = at::stack(tokens).sum(0);
    }
    return mixed;
  }

 private:
  std::vector<WeightedReference> shares_;
  Mix mix_;
};

class NoReference : public Reference {
 public:
  objective::SequenceLogps logps(const PreferenceBatch& /*batch*/) override {
    return {};
  }
};

class RememberingReference : public Reference {
 public:
  explicit RememberingReference(Reference& inner) : inner_(inner) {}

  objective::SequenceLogps logps(const PreferenceBatch& batch) override {
    bool all = true;
    for (const int64_t group : batch.groups) {
      all = all && known_.contains(group);
    }
    if (all) {
      return remembered(batch);
    }
    objective::SequenceLogps fresh = inner_.logps(batch);
    if (fresh.sum_S.defined()) {
      remember(batch, fresh);
    }
    return fresh;
  }

  HeadRows rows(const PreferenceBatch& batch) override {
    return inner_.rows(batch);
  }

 private:
  // Of one group, in the order of its completions.
  struct Known {
    std::vector<double> sums;
    std::vector<double> tokens;
  };

  void remember(const PreferenceBatch& batch, const objective::SequenceLogps& fresh) {
    for (const int64_t group : batch.groups) {
      known_[group] = {};
    }
    const auto known_of = [&](int64_t s) -> Known& {
      const int64_t group = batch.group_S[static_cast<size_t>(s)];
      return known_[batch.groups[static_cast<size_t>(group)]];
    };
    const at::Tensor sums = fresh.sum_S.contiguous();
    for (int64_t s = 0; s < sums.size(0); ++s) {
      known_of(s).sums.push_back(sums.const_data_ptr<double>()[s]);
    }
    if (fresh.token_C.defined()) {
      const at::Tensor tokens = fresh.token_C.contiguous();
      const auto* sequence = batch.sequence_C.const_data_ptr<int64_t>();
      for (int64_t c = 0; c < tokens.size(0); ++c) {
        known_of(sequence[c]).tokens.push_back(tokens.const_data_ptr<double>()[c]);
      }
    }
  }

  objective::SequenceLogps remembered(const PreferenceBatch& batch) const {
    std::vector<double> sums;
    std::vector<double> tokens;
    for (const int64_t group : batch.groups) {
      const Known& known = known_.at(group);
      sums.insert(sums.end(), known.sums.begin(), known.sums.end());
      tokens.insert(tokens.end(), known.tokens.begin(), known.tokens.end());
    }
    const auto tensor = [&](const std::vector<double>& numbers) {
      const at::Tensor out =
          at::empty({static_cast<int64_t>(numbers.size())}, batch.count_S.options());
      std::copy(numbers.begin(), numbers.end(), out.data_ptr<double>());
      return out;
    };
    return {.sum_S = tensor(sums),
            .count_S = batch.count_S,
            .token_C = tokens.empty() ? at::Tensor() : tensor(tokens)};
  }

  Reference& inner_;
  std::unordered_map<int64_t, Known> known_;
};

}  // namespace

HeadRows Reference::rows(const PreferenceBatch& /*batch*/) {
  throw InternalError("this reference has no whole distributions");
}

std::unique_ptr<Reference> base_reference(const model::Decoder& model,
                                          const objective::Needs& needs) {
  return std::make_unique<BaseReference>(model, needs);
}

std::unique_ptr<Reference> model_reference(std::unique_ptr<model::Decoder> model,
                                           const objective::Needs& needs) {
  return std::make_unique<ModelReference>(std::move(model), needs);
}

std::unique_ptr<Reference> mixed_reference(std::vector<WeightedReference> shares, Mix mix) {
  return std::make_unique<MixedReference>(std::move(shares), mix);
}

std::unique_ptr<Reference> no_reference() {
  return std::make_unique<NoReference>();
}

std::unique_ptr<Reference> remembering_reference(Reference& inner) {
  return std::make_unique<RememberingReference>(inner);
}

}  // namespace attune::train
