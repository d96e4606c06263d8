#include <algorithm>

#include "attune/core/error.h"
#include "attune/core/hash.h"
#include "attune/tensor/gemm.h"
#include "attune/train/reference_table.h"
#include "attune/train/run_loop.h"

namespace attune::train {

namespace fs = std::filesystem;

void Run::make_reference() {
  const ReferenceOptions options = choose_reference(reference_question(options_)).options;
  if (options.kind != "none" && options.sync_every > 0) {
    make_moving_reference(options);
  } else if (options.kind == "base") {
    reference_ = base_reference(*policy_, objective_.needs());
  } else if (options.kind == "model") {
    reference_ = model_reference(other_model(options.path), objective_.needs());
  } else if (options.kind == "models") {
    std::vector<WeightedReference> shares;
    const std::vector<double> weights = reference_weights(options);
    for (size_t k = 0; k < weights.size(); ++k) {
      shares.push_back(
          {model_reference(other_model(options.paths[k]), objective_.needs()), weights[k]});
    }
    reference_ = mixed_reference(std::move(shares),
                                 options.mix == "mrpo" ? Mix::kHarmonic : Mix::kGeometric);
  } else if (options.kind == "cached") {
    make_cached_reference();
  } else {
    reference_ = no_reference();
  }
  if (!held_out_reference_) {
    held_out_reference_ = remembering_reference(*reference_);
  }
}

void Run::make_moving_reference(const ReferenceOptions& options) {
  auto moving = std::make_unique<MovingReference>(
      options.kind == "base" ? base_copy(*policy_) : other_model(options.path),
      *policy_,
      options.sync_mix,
      objective_.needs());
  if (resumed_from_ && fs::exists(*resumed_from_ / kReferenceFile)) {
    moving->restore(*resumed_from_ / kReferenceFile);
  }
  moving_ = moving.get();
  reference_ = std::move(moving);
}

void Run::sync_reference() {
  moving_->sync();
  held_out_reference_ = remembering_reference(*reference_);  // what it remembered is of the past
}

std::unique_ptr<model::Decoder> Run::other_model(const std::string& path) const {
  const model::Source other = model::open_model(path);
  check(other.shape.vocabulary == source_.shape.vocabulary,
        "reference.path: {} has {} tokens and model.path {}; both must share one vocabulary",
        path,
        other.shape.vocabulary,
        source_.shape.vocabulary);
  return model::load_model(other, options_.model.precision == "bf16" ? at::kBFloat16 : at::kFloat);
}

// Of the training data: those of the steps to come, and those held out of it.
std::vector<int64_t> Run::groups_ahead() const {
  std::vector<int64_t> groups;
  if (steps_ - progress_.step >= sampler_->steps_per_epoch()) {
    groups = data_->train;
  } else {
    for (int64_t step = progress_.step; step < steps_; ++step) {
      const std::vector<int64_t> one = groups_of(step);
      groups.insert(groups.end(), one.begin(), one.end());
    }
  }
  if (!data_->other_held_out) {
    groups.insert(groups.end(), data_->held_out.begin(), data_->held_out.end());
  }
  std::ranges::sort(groups);
  groups.erase(std::ranges::unique(groups).begin(), groups.end());
  return groups;
}

void Run::make_cached_reference() {
  const fs::path folder = options_.reference.cache_dir.empty()
                              ? output_ / "cache"
                              : fs::path(options_.reference.cache_dir);
  // A resumed full fine-tune no longer holds the starting weights; the table then is complete, or
  // is completed by the starting model.
  std::unique_ptr<model::Decoder> start;
  const model::Decoder* model = policy_.get();
  if (plan_.full && progress_.step > 0) {
    start = model::load_model(source_, at::kFloat);
    model = start.get();
  }
  const bool tokens = objective_.needs().tokens;
  const bool narrow = tensor::narrow_products() == tensor::Narrow::kAll;
  const auto table_of = [&](const data::TokenCache& cache, std::span<const int64_t> groups) {
    Hasher hasher;
    hasher.add(source_key_).add(cache.key()).add(options_.model.precision);
    if (narrow) {
      hasher.add("narrow");
    }
    if (tokens) {
      hasher.add("tokens");
    }
    const std::string key = hasher.hex();
    const ReferenceTable table{.file = folder / ("reference-" + key.substr(0, 16) + ".safetensors"),
                               .key = key,
                               .tokens = tokens};
    return reference_table(table, *model, cache, groups, progress_.batch_tokens, observer_);
  };
  reference_ = cached_reference(table_of(data_->cache, groups_ahead()));
  if (data_->other_held_out) {
    held_out_reference_ = cached_reference(table_of(*data_->other_held_out, data_->held_out));
  }
}

}  // namespace attune::train
