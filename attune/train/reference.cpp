#include "attune/train/reference.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "attune/core/error.h"
#include "attune/core/stop.h"
#include "attune/io/safetensors_writer.h"
#include "attune/tensor/convert.h"
#include "attune/train/score.h"

namespace attune::train {
namespace {

using Table = std::vector<std::vector<double>>;
using Clock = std::chrono::steady_clock;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr std::chrono::seconds kSaveEvery{30};

class BaseReference : public Reference {
 public:
  explicit BaseReference(const model::Decoder& model) : model_(model) {}
  objective::SequenceLogps logps(const PreferenceBatch& batch) override {
    const at::NoGradGuard no_grad;
    return score(model_, batch, {.adapters = false});
  }

 private:
  const model::Decoder& model_;
};

class ModelReference : public Reference {
 public:
  explicit ModelReference(std::unique_ptr<model::Decoder> model) : model_(std::move(model)) {}
  objective::SequenceLogps logps(const PreferenceBatch& batch) override {
    const at::NoGradGuard no_grad;
    return score(*model_, batch, {.adapters = false});
  }

 private:
  std::unique_ptr<model::Decoder> model_;
};

class NoReference : public Reference {
 public:
  objective::SequenceLogps logps(const PreferenceBatch& /*batch*/) override {
    return {};
  }
};

class CachedReference : public Reference {
 public:
  explicit CachedReference(Table table) : table_(std::move(table)) {}

  objective::SequenceLogps logps(const PreferenceBatch& batch) override {
    at::Tensor sum_S = at::empty_like(batch.count_S);
    auto* sum = sum_S.data_ptr<double>();
    size_t s = 0;
    for (const int64_t group : batch.groups) {
      for (const double logp : table_.at(static_cast<size_t>(group))) {
        sum[s++] = logp;
      }
    }
    ensure(s == batch.group_S.size(),
           "cached reference: {} numbers for {} completions",
           s,
           batch.group_S.size());
    return {.sum_S = sum_S, .count_S = batch.count_S};
  }

 private:
  Table table_;
};

class RememberingReference : public Reference {
 public:
  explicit RememberingReference(Reference& inner) : inner_(inner) {}

  objective::SequenceLogps logps(const PreferenceBatch& batch) override {
    bool all = true;
    for (const int64_t group : batch.groups) {
      all = all && known_.contains(group);
    }
    if (!all) {
      objective::SequenceLogps fresh = inner_.logps(batch);
      if (!fresh.sum_S.defined()) {
        return fresh;
      }
      const at::Tensor sums = fresh.sum_S.contiguous();
      for (const int64_t group : batch.groups) {
        known_[group].clear();
      }
      for (size_t s = 0; s < batch.group_S.size(); ++s) {
        known_[batch.groups[static_cast<size_t>(batch.group_S[s])]].push_back(
            sums.const_data_ptr<double>()[s]);
      }
      return fresh;
    }
    at::Tensor sum_S = at::empty_like(batch.count_S);
    size_t s = 0;
    for (const int64_t group : batch.groups) {
      for (const double logp : known_.at(group)) {
        sum_S.data_ptr<double>()[s++] = logp;
      }
    }
    return {.sum_S = sum_S, .count_S = batch.count_S};
  }

 private:
  Reference& inner_;
  std::unordered_map<int64_t, std::vector<double>> known_;
};

Table empty_table(const data::TokenCache& cache) {
  Table table(static_cast<size_t>(cache.size()));
  for (int64_t i = 0; i < cache.size(); ++i) {
    table[static_cast<size_t>(i)].assign(static_cast<size_t>(cache.num_completions(i)), kUnknown);
  }
  return table;
}

void save(const ReferenceTable& where, const Table& table) {
  std::vector<double> flat;
  for (const auto& group : table) {
    flat.insert(flat.end(), group.begin(), group.end());
  }
  const io::TensorView view{.name = "logps",
                            .dtype = io::DType::kF64,
                            .shape = {static_cast<int64_t>(flat.size())},
                            .bytes = std::as_bytes(std::span(flat))};
  std::filesystem::create_directories(where.file.parent_path());
  io::write_safetensors(where.file, std::span(&view, 1), {{"key", where.key}});
}

// Whether the file held this table, whole or in part; a file of another key, or a damaged one, is
// as good as none.
void load(const ReferenceTable& where, Table& table, Watcher& watcher) {
  if (!std::filesystem::exists(where.file)) {
    return;
  }
  try {
    const io::TensorFile file = io::open_safetensors(where.file);
    const io::TensorView& view = file.at("logps");
    const auto key = file.metadata().find("key");
    size_t size = 0;
    for (const auto& group : table) {
      size += group.size();
    }
    if (key == file.metadata().end() || key->second != where.key || view.dtype != io::DType::kF64 ||
        view.numel() != static_cast<int64_t>(size)) {
      return;
    }
    size_t at = 0;
    for (auto& group : table) {
      std::memcpy(
          group.data(), view.bytes.data() + at * sizeof(double), group.size() * sizeof(double));
      at += group.size();
    }
  } catch (const Error& e) {
    watcher.warn(fmt::format("{} (computed again)", e.what()));
  }
}

bool known(const std::vector<double>& group) {
  return !group.empty() && !std::isnan(group[0]);
}

}  // namespace

std::unique_ptr<Reference> base_reference(const model::Decoder& model) {
  return std::make_unique<BaseReference>(model);
}

std::unique_ptr<Reference> model_reference(std::unique_ptr<model::Decoder> model) {
  return std::make_unique<ModelReference>(std::move(model));
}

std::unique_ptr<Reference> no_reference() {
  return std::make_unique<NoReference>();
}

std::unique_ptr<Reference> cached_reference(Table table) {
  return std::make_unique<CachedReference>(std::move(table));
}

std::unique_ptr<Reference> remembering_reference(Reference& inner) {
  return std::make_unique<RememberingReference>(inner);
}

Table reference_table(const ReferenceTable& where,
                      const model::Decoder& model,
                      const data::TokenCache& cache,
                      int64_t max_tokens,
                      Watcher& watcher) {
  const at::NoGradGuard no_grad;
  Table table = empty_table(cache);
  load(where, table, watcher);
  std::vector<int64_t> open;
  std::vector<int64_t> tokens;
  for (int64_t i = 0; i < cache.size(); ++i) {
    if (!known(table[static_cast<size_t>(i)])) {
      open.push_back(i);
      tokens.push_back(cache.num_tokens(i));
    }
  }
  if (open.empty()) {
    return table;
  }
  auto saved = Clock::now();
  int64_t done = cache.size() - static_cast<int64_t>(open.size());
  for (const std::vector<size_t>& part : data::split_by_tokens(tokens, max_tokens)) {
    std::vector<data::EncodedGroup> groups;
    std::vector<int64_t> indices;
    for (const size_t i : part) {
      indices.push_back(open[i]);
      groups.push_back(cache.group(open[i]));
    }
    const PreferenceBatch batch = lift(data::pack(groups, indices));
    const at::Tensor sum_S = score(model, batch, {.adapters = false}).sum_S.contiguous();
    const auto* sum = sum_S.const_data_ptr<double>();
    size_t s = 0;
    for (const int64_t group : indices) {
      for (double& logp : table[static_cast<size_t>(group)]) {
        logp = sum[s++];
      }
    }
    done += static_cast<int64_t>(part.size());
    watcher.progress("reference", done, cache.size());
    const bool stop = stop_requested();
    if (stop || Clock::now() - saved > kSaveEvery) {
      save(where, table);
      saved = Clock::now();
    }
    if (stop) {
      throw Stopped();
    }
  }
  save(where, table);
  return table;
}

}  // namespace attune::train
