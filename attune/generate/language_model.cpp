#include "attune/generate/language_model.h"

#include <algorithm>
#include <thread>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include "attune/adapter/peft.h"
#include "attune/core/error.h"
#include "attune/core/stop.h"
#include "attune/generate/cached_attention.h"
#include "attune/generate/choose.h"
#include "attune/model/checkpoint.h"
#include "attune/model/inference.h"
#include "attune/tensor/kernel_memory.h"
#include "attune/tensor/parallel.h"
#include "attune/text/stream_decoder.h"

namespace attune::generate {

struct LanguageModel::Impl {
  model::Source source;
  std::unique_ptr<model::Decoder> decoder;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::optional<text::ChatTemplate> chat_template;
  std::string adapter_warning;
  bool adapter_on = true;
  // The cache of the latest single prompt, and what is in it.
  std::unique_ptr<CachedAttention> kept;
  std::vector<int32_t> kept_ids;
};

namespace {

at::Tensor integers(const std::vector<int64_t>& values) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.data_ptr<int64_t>());
  return tensor;
}

// One sequence that is being written.
struct Writer {
  Writer(const text::Tokenizer& tokenizer, uint64_t key) : stream(tokenizer), random(key) {}
  int64_t slot = -1;             // of the cache
  std::vector<int32_t> pending;  // tokens that the model has not seen
  Generation result;
  text::StreamDecoder stream;
  RandomStream random;
  int64_t room = 0;
};

using Writers = std::vector<size_t>;  // places in the list of prompts

// Prompts that wait are begun until this many tokens go through the model at once.
constexpr int64_t kTokensAtOnce = 2048;

}  // namespace

LanguageModel::LanguageModel(const model::ModelOptions& options,
                             const std::string& adapter,
                             int64_t threads)
    : impl_(std::make_unique<Impl>()) {
  at::set_num_threads(
      static_cast<int>(threads > 0 ? threads : std::max(1U, std::thread::hardware_concurrency())));
  impl_->source = model::open_model(options.path);
  impl_->tokenizer = text::Tokenizer::load(options.path);
  impl_->decoder =
      model::load_model(impl_->source, options.precision == "bf16" ? at::kBFloat16 : at::kFloat);
  if (!adapter.empty()) {
    std::vector<std::pair<std::string, adapter::Linear*>> layers;
    impl_->decoder->each_linear([&](const std::string& path, adapter::Linear& linear) {
      layers.emplace_back(path, &linear);
    });
    adapter::load_peft(layers, adapter);
    impl_->adapter_warning = adapter::base_warning(adapter, options.path);
  }
  if (options.chat_template != "auto") {
    impl_->chat_template = text::ChatTemplate::named(options.chat_template, *impl_->tokenizer);
  } else if (!impl_->tokenizer->chat_template().empty()) {
    impl_->chat_template = text::ChatTemplate::of(*impl_->tokenizer);
  }
  const model::DecoderShape& shape = impl_->source.shape;
  tensor::set_gemm_kernel(tensor::remembered_gemm_kernel(
                              tensor::kernel_memory_file(), 64, shape.width, shape.feed_forward)
                              .kernel);
}

LanguageModel::~LanguageModel() = default;

const text::Tokenizer& LanguageModel::tokenizer() const {
  return *impl_->tokenizer;
}

bool LanguageModel::can_chat() const {
  return impl_->chat_template.has_value();
}

const text::ChatTemplate& LanguageModel::chat_template() const {
  check(can_chat(),
        "{}: the model brings no chat template; name one, for instance --chat-template=chatml",
        impl_->source.path.string());
  return *impl_->chat_template;
}

model::Decoder& LanguageModel::decoder() {
  return *impl_->decoder;
}

const model::Source& LanguageModel::source() const {
  return impl_->source;
}

const std::string& LanguageModel::adapter_warning() const {
  return impl_->adapter_warning;
}

int64_t LanguageModel::max_tokens() const {
  return impl_->source.shape.max_positions;
}

void LanguageModel::use_adapter(bool on) {
  if (impl_->adapter_on != on) {
    impl_->kept.reset();
    impl_->kept_ids.clear();
  }
  impl_->adapter_on = on;
}

std::vector<int32_t> LanguageModel::prompt_of(std::span<const text::Message> messages) const {
  return impl_->tokenizer->encode(chat_template().render(messages, /*add_generation_prompt=*/true));
}

std::vector<int32_t> LanguageModel::prompt_of(const std::string& text) const {
  return impl_->tokenizer->encode(text, {.add_special = true});
}

namespace {

// The work of one call of generate().
class Work {
 public:
  Work(LanguageModel& model, CachedAttention& cache, bool adapters, const GenerateOptions& options)
      : model_(model), cache_(cache), adapters_(adapters), options_(options) {}

  /// @param shared  leading tokens of the first prompt that the cache holds.
  void add(std::span<const std::vector<int32_t>> prompts, int64_t shared);
  void run(const OnText& on_text, const Together& together);
  std::vector<Generation> finish();

 private:
  void begin_waiting(size_t slots);
  /// One pass, and a new token for each of its writers.
  void step(const Writers& rows, model::InferenceRows kind, const OnText& on_text);
  /// False if the text is at its end.
  bool take(size_t i, int32_t id, const OnText& on_text);
  void close(size_t i, const OnText& on_text);

  LanguageModel& model_;
  CachedAttention& cache_;
  bool adapters_;
  const GenerateOptions& options_;
  std::vector<Writer> writers_;
  Writers active_;
  std::vector<int64_t> free_slots_;
  size_t waiting_ = 0;  // the first that has not begun
  bool stop_ = false;
};

void Work::add(std::span<const std::vector<int32_t>> prompts, int64_t shared) {
  const text::Tokenizer& tokenizer = model_.tokenizer();
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::vector<int32_t>& prompt = prompts[i];
    check(!prompt.empty(), "prompt {}: it is empty", i + 1);
    const int64_t room = model_.max_tokens() - static_cast<int64_t>(prompt.size());
    check(room > 0,
          "prompt {}: {} tokens leave no room for an answer; the model was made for {}",
          i + 1,
          prompt.size(),
          model_.max_tokens());
    Writer& writer =
        writers_.emplace_back(tokenizer, random_word(static_cast<uint64_t>(options_.seed), i));
    writer.pending.assign(prompt.begin() + (i == 0 ? shared : 0), prompt.end());
    writer.room = std::min(room, options_.max_new_tokens);
  }
}

void Work::run(const OnText& on_text, const Together& together) {
  for (int64_t slot = cache_.num_sequences(); slot-- > 0;) {
    free_slots_.push_back(slot);
  }
  while (!stop_) {
    begin_waiting(free_slots_.size());
    if (active_.empty()) {
      break;
    }
    Writers few;
    Writers many;
    for (const size_t i : active_) {
      const auto count = static_cast<int64_t>(writers_[i].pending.size());
      (count > CachedAttention::kFewRows ? many : few).push_back(i);
    }
    active_.clear();  // those that go on come back
    step(many, model::InferenceRows::kMany, on_text);
    step(few, model::InferenceRows::kFew, on_text);
    for (const Writers* const ran : {&many, &few}) {
      for (const size_t i : *ran) {
        if (!writers_[i].pending.empty()) {
          active_.push_back(i);
          continue;
        }
        free_slots_.push_back(writers_[i].slot);
        close(i, on_text);
        if (together.on_done) {
          together.on_done(i, writers_[i].result);
        }
      }
    }
    stop_ = stop_ || stop_requested();
  }
  for (const size_t i : active_) {
    close(i, on_text);
  }
}

void Work::begin_waiting(size_t slots) {
  int64_t tokens = 0;
  for (; slots > 0 && waiting_ < writers_.size(); --slots) {
    Writer& writer = writers_[waiting_];
    tokens += static_cast<int64_t>(writer.pending.size());
    if (tokens > kTokensAtOnce && tokens > static_cast<int64_t>(writer.pending.size())) {
      break;
    }
    writer.slot = free_slots_.back();
    free_slots_.pop_back();
    if (writers_.size() > 1) {
      cache_.truncate(writer.slot, 0);
    }
    active_.push_back(waiting_++);
  }
}

void Work::step(const Writers& rows, model::InferenceRows kind, const OnText& on_text) {
  if (rows.empty()) {
    return;
  }
  std::vector<CachedAttention::Rows> parts;
  std::vector<int64_t> tokens;
  std::vector<int64_t> positions;
  std::vector<int64_t> last_rows;
  for (const size_t i : rows) {
    Writer& writer = writers_[i];
    int64_t position = cache_.length(writer.slot);
    for (const int32_t id : writer.pending) {
      tokens.push_back(id);
      positions.push_back(position++);
    }
    parts.push_back({writer.slot, static_cast<int64_t>(writer.pending.size())});
    last_rows.push_back(static_cast<int64_t>(tokens.size()) - 1);
    writer.pending.clear();
  }
  cache_.begin(std::move(parts));
  const model::Decoder& decoder = model_.decoder();
  const at::Tensor h_ND =
      model::infer(decoder, integers(tokens), integers(positions), cache_, adapters_, kind);
  cache_.end();
  const at::Tensor logits_BV =
      model::infer_logits(decoder, h_ND.index_select(0, integers(last_rows)));
  const auto V = static_cast<size_t>(logits_BV.size(1));
  const auto* logits = logits_BV.const_data_ptr<float>();
  // A padded embedding has rows beyond the vocabulary; they are no tokens.
  const size_t known = std::min(V, static_cast<size_t>(model_.tokenizer().vocab_size()));
  std::vector<int32_t> ids(rows.size());
  tensor::share_out(static_cast<int64_t>(rows.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto r = static_cast<size_t>(begin); r < static_cast<size_t>(end); ++r) {
      ids[r] = choose(std::span(logits + r * V, known), options_, writers_[rows[r]].random);
    }
  });
  for (size_t r = 0; r < rows.size(); ++r) {
    if (stop_) {
      return;  // what nobody heard is no part of a text
    }
    if (take(rows[r], ids[r], on_text)) {
      writers_[rows[r]].pending = {ids[r]};
    }
  }
}

bool Work::take(size_t i, int32_t id, const OnText& on_text) {
  Writer& writer = writers_[i];
  const std::vector<int32_t>& ends = model_.tokenizer().end_of_turn();
  if (std::binary_search(ends.begin(), ends.end(), id)) {
    writer.result.ended = true;
    return false;
  }
  writer.result.ids.push_back(id);
  const std::string text = writer.stream.push(id);
  writer.result.text += text;
  stop_ = stop_ || (on_text && !on_text(i, text));
  return static_cast<int64_t>(writer.result.ids.size()) < writer.room;
}

void Work::close(size_t i, const OnText& on_text) {
  const std::string rest = writers_[i].stream.finish();
  if (on_text && !rest.empty()) {
    on_text(i, rest);
  }
  writers_[i].result.text += rest;
}

std::vector<Generation> Work::finish() {
  std::vector<Generation> results;
  for (Writer& writer : writers_) {
    results.push_back(std::move(writer.result));
  }
  return results;
}

}  // namespace

std::vector<Generation> LanguageModel::generate(std::span<const std::vector<int32_t>> prompts,
                                                const GenerateOptions& options,
                                                const OnText& on_text,
                                                const Together& together) {
  const at::NoGradGuard no_grad;
  const auto B = static_cast<int64_t>(prompts.size());
  std::unique_ptr<CachedAttention> cache;
  int64_t shared = 0;
  if (B == 1 && impl_->kept) {
    // The last token is always computed: its row predicts the first new one.
    const auto most =
        std::min(impl_->kept_ids.size(), prompts[0].empty() ? 0 : prompts[0].size() - 1);
    while (shared < static_cast<int64_t>(most) && impl_->kept_ids[static_cast<size_t>(shared)] ==
                                                      prompts[0][static_cast<size_t>(shared)]) {
      ++shared;
    }
    cache = std::move(impl_->kept);
    cache->truncate(0, shared);
  } else {
    cache = std::make_unique<CachedAttention>(impl_->source.shape,
                                              together.batch > 0 ? std::min(B, together.batch) : B);
  }
  Work work(*this, *cache, impl_->adapter_on, options);
  work.add(prompts, shared);
  work.run(on_text, together);
  std::vector<Generation> results = work.finish();
  if (B == 1) {
    impl_->kept_ids = prompts[0];
    impl_->kept_ids.insert(impl_->kept_ids.end(), results[0].ids.begin(), results[0].ids.end());
    impl_->kept_ids.resize(static_cast<size_t>(cache->length(0)));
    impl_->kept = std::move(cache);
  }
  return results;
}

}  // namespace attune::generate
