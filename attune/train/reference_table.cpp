#include "attune/train/reference_table.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "attune/core/error.h"
#include "attune/core/stop.h"
#include "attune/data/packed_batch.h"
#include "attune/io/safetensors_writer.h"

namespace attune::train {
namespace {

using Clock = std::chrono::steady_clock;

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
constexpr std::chrono::seconds kSaveEvery{30};

template <class T>
using ByGroup = std::vector<std::vector<T>>;

class CachedReference : public Reference {
 public:
  explicit CachedReference(ReferenceLogps table) : table_(std::move(table)) {}

  objective::SequenceLogps logps(const PreferenceBatch& batch) override {
    objective::SequenceLogps logps{.count_S = batch.count_S};
    logps.sum_S = looked_up(table_.sums, batch, static_cast<int64_t>(batch.group_S.size()));
    if (!table_.tokens.empty()) {
      logps.token_C = looked_up(table_.tokens, batch, batch.row_C.size(0));
    }
    return logps;
  }

 private:
  template <class T>
  static at::Tensor looked_up(const ByGroup<T>& table, const PreferenceBatch& batch, int64_t size) {
    const at::Tensor out = at::empty({size}, batch.count_S.options());
    int64_t at = 0;
    for (const int64_t group : batch.groups) {
      for (const T logp : table.at(static_cast<size_t>(group))) {
        ensure(at < size, "cached reference: more than {} numbers", size);
        out.data_ptr<double>()[at++] = static_cast<double>(logp);
      }
    }
    ensure(at == size, "cached reference: {} numbers where {} are asked for", at, size);
    return out;
  }

  ReferenceLogps table_;
};

ReferenceLogps empty_table(const data::TokenCache& cache, bool tokens) {
  ReferenceLogps table;
  for (int64_t i = 0; i < cache.size(); ++i) {
    table.sums.emplace_back(static_cast<size_t>(cache.num_completions(i)), kUnknown);
    if (tokens) {
      const auto prompt = static_cast<int64_t>(cache.group(i).prompt.size());
      table.tokens.emplace_back(static_cast<size_t>(cache.num_tokens(i) - prompt), kUnknown);
    }
  }
  return table;
}

template <class T>
std::vector<T> flat(const ByGroup<T>& table) {
  std::vector<T> all;
  for (const auto& group : table) {
    all.insert(all.end(), group.begin(), group.end());
  }
  return all;
}

template <class T>
io::TensorView view_of(const char* name, io::DType dtype, const std::vector<T>& numbers) {
  return {.name = name,
          .dtype = dtype,
          .shape = {static_cast<int64_t>(numbers.size())},
          .bytes = std::as_bytes(std::span(numbers))};
}

void save(const ReferenceTable& where, const ReferenceLogps& table) {
  const std::vector<double> sums = flat(table.sums);
  const std::vector<float> tokens = flat(table.tokens);
  std::vector<io::TensorView> views{view_of("logps", io::DType::kF64, sums)};
  if (where.tokens) {
    views.push_back(view_of("token_logps", io::DType::kF32, tokens));
  }
  std::filesystem::create_directories(where.file.parent_path());
  io::write_safetensors(where.file, views, {{"key", where.key}});
}

// Whether the view fits the table; then it is its content.
template <class T>
bool fill(ByGroup<T>& table, const io::TensorView& view, io::DType dtype) {
  size_t size = 0;
  for (const auto& group : table) {
    size += group.size();
  }
  if (view.dtype != dtype || view.numel() != static_cast<int64_t>(size)) {
    return false;
  }
  const std::byte* from = view.bytes.data();
  for (auto& group : table) {
    std::memcpy(group.data(), from, group.size() * sizeof(T));
    from += group.size() * sizeof(T);
  }
  return true;
}

// What the file holds of this table, whole or in part; a file of another key, or a damaged one, is
// as good as none.
ReferenceLogps load(const ReferenceTable& where, const ReferenceLogps& empty, Watcher& watcher) {
  if (!std::filesystem::exists(where.file)) {
    return empty;
  }
  try {
    const io::TensorFile file = io::open_safetensors(where.file);
    const auto key = file.metadata().find("key");
    ReferenceLogps table = empty;
    if (key != file.metadata().end() && key->second == where.key &&
        fill(table.sums, file.at("logps"), io::DType::kF64) &&
        (!where.tokens || fill(table.tokens, file.at("token_logps"), io::DType::kF32))) {
      return table;
    }
  } catch (const Error& e) {
    watcher.warn(fmt::format("{} (computed again)", e.what()));
  }
  return empty;
}

bool known(const std::vector<double>& group) {
  return !group.empty() && !std::isnan(group[0]);
}

// Puts a batch's numbers to their groups.
template <class T>
void put(ByGroup<T>& table, const std::vector<int64_t>& groups, const at::Tensor& numbers) {
  const at::Tensor all = numbers.contiguous();
  const auto* next = all.const_data_ptr<double>();
  for (const int64_t group : groups) {
    for (T& logp : table[static_cast<size_t>(group)]) {
      logp = static_cast<T>(*next++);
    }
  }
}

}  // namespace

std::unique_ptr<Reference> cached_reference(ReferenceLogps table) {
  return std::make_unique<CachedReference>(std::move(table));
}

ReferenceLogps reference_table(const ReferenceTable& where,
                               const model::Decoder& model,
                               const data::TokenCache& cache,
                               std::span<const int64_t> asked,
                               int64_t max_tokens,
                               Watcher& watcher) {
  const at::NoGradGuard no_grad;
  ReferenceLogps table = load(where, empty_table(cache, where.tokens), watcher);
  std::vector<int64_t> open;
  std::vector<int64_t> tokens;
  for (const int64_t i : asked) {
    if (!known(table.sums[static_cast<size_t>(i)])) {
      open.push_back(i);
      tokens.push_back(cache.num_tokens(i));
    }
  }
  if (open.empty()) {
    return table;
  }
  auto saved = Clock::now();
  const auto all = static_cast<int64_t>(asked.size());
  int64_t done = all - static_cast<int64_t>(open.size());
  for (const std::vector<size_t>& part : data::split_by_tokens(tokens, max_tokens)) {
    std::vector<data::EncodedGroup> groups;
    std::vector<int64_t> indices;
    for (const size_t i : part) {
      indices.push_back(open[i]);
      groups.push_back(cache.group(open[i]));
    }
    const PreferenceBatch batch = lift(data::pack(groups, indices));
    const objective::SequenceLogps logps =
        score(model, batch, {.adapters = false}, {.needs = {.tokens = where.tokens}});
    put(table.sums, indices, logps.sum_S);
    if (where.tokens) {
      put(table.tokens, indices, logps.token_C);
    }
    done += static_cast<int64_t>(part.size());
    watcher.progress("reference", done, all);
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
