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
#include "attune/tensor/kernel_memory.h"
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
  std::vector<int32_t> pending;  // tokens that the model has not seen
  Generation result;
  text::StreamDecoder stream;
  RandomStream random;
  int64_t room = 0;
  bool done = false;
};

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

std::vector<Generation> LanguageModel::generate(std::span<const std::vector<int32_t>> prompts,
                                                const GenerateOptions& options,
                                                const OnText& on_text) {
  const at::NoGradGuard no_grad;
  const text::Tokenizer& tokenizer = *impl_->tokenizer;
  const model::DecoderShape& shape = impl_->source.shape;
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
    cache = std::make_unique<CachedAttention>(shape, B);
  }
  std::vector<Writer> writers;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::vector<int32_t>& prompt = prompts[i];
    check(!prompt.empty(), "prompt {}: it is empty", i + 1);
    const int64_t room = shape.max_positions - static_cast<int64_t>(prompt.size());
    check(room > 0,
          "prompt {}: {} tokens leave no room for an answer; the model was made for {}",
          i + 1,
          prompt.size(),
          shape.max_positions);
    Writer& writer =
        writers.emplace_back(tokenizer, random_word(static_cast<uint64_t>(options.seed), i));
    writer.pending.assign(prompt.begin() + shared, prompt.end());
    writer.room = std::min(room, options.max_new_tokens);
  }
  const std::vector<int32_t>& ends = tokenizer.end_of_turn();
  bool stop = false;
  while (!stop) {
    std::vector<CachedAttention::Rows> rows;
    std::vector<int64_t> tokens;
    std::vector<int64_t> positions;
    std::vector<int64_t> last_rows;
    for (size_t i = 0; i < writers.size(); ++i) {
      Writer& writer = writers[i];
      if (writer.done) {
        continue;
      }
      const auto sequence = static_cast<int64_t>(i);
      int64_t position = cache->length(sequence);
      for (const int32_t id : writer.pending) {
        tokens.push_back(id);
        positions.push_back(position++);
      }
      rows.push_back({sequence, static_cast<int64_t>(writer.pending.size())});
      last_rows.push_back(static_cast<int64_t>(tokens.size()) - 1);
      writer.pending.clear();
    }
    if (rows.empty()) {
      break;
    }
    cache->begin(rows);
    const at::Tensor h_ND = impl_->decoder->forward(
        integers(tokens), integers(positions), *cache, {.adapters = impl_->adapter_on});
    cache->end();
    const at::Tensor logits_BV =
        impl_->decoder->logits(h_ND.index_select(0, integers(last_rows))).contiguous();
    const auto V = static_cast<size_t>(logits_BV.size(1));
    const auto* logits = logits_BV.const_data_ptr<float>();
    // A padded embedding has rows beyond the vocabulary; they are no tokens.
    const size_t known = std::min(V, static_cast<size_t>(tokenizer.vocab_size()));
    for (size_t r = 0; r < rows.size(); ++r) {
      const auto i = static_cast<size_t>(rows[r].sequence);
      Writer& writer = writers[i];
      const int32_t id = choose(std::span(logits + r * V, known), options, writer.random);
      if (std::binary_search(ends.begin(), ends.end(), id)) {
        writer.result.ended = true;
        writer.done = true;
        continue;
      }
      writer.result.ids.push_back(id);
      writer.pending = {id};
      const std::string text = writer.stream.push(id);
      writer.result.text += text;
      stop = stop || (on_text && !on_text(i, text));
      writer.done = static_cast<int64_t>(writer.result.ids.size()) >= writer.room;
    }
    stop = stop || stop_requested();
  }
  std::vector<Generation> results;
  for (size_t i = 0; i < writers.size(); ++i) {
    const std::string rest = writers[i].stream.finish();
    if (on_text && !rest.empty()) {
      on_text(i, rest);
    }
    writers[i].result.text += rest;
    results.push_back(std::move(writers[i].result));
  }
  if (B == 1) {
    impl_->kept_ids = prompts[0];
    impl_->kept_ids.insert(impl_->kept_ids.end(), results[0].ids.begin(), results[0].ids.end());
    impl_->kept_ids.resize(static_cast<size_t>(cache->length(0)));
    impl_->kept = std::move(cache);
  }
  return results;
}

}  // namespace attune::generate
