// GGUF metadata to a shape: what is read, and what is refused.
#include "attune/io/gguf.h"

#include <cstring>

#include "attune/model/checkpoint.h"
#include "attune/model/gguf_names.h"

#include "tests/tensor/golden.h"

namespace attune::model {
namespace {

using testing::HasSubstr;
using tests::error_of;

// A GGUF file in memory, metadata first.
class GgufBytes {
 public:
  GgufBytes& text(const std::string& key, const std::string& value) {
    add(key);
    number<uint32_t>(8);
    add(value);
    return next();
  }
  GgufBytes& count(const std::string& key, uint32_t value) {
    add(key);
    number<uint32_t>(4);
    number(value);
    return next();
  }
  GgufBytes& real(const std::string& key, float value) {
    add(key);
    number<uint32_t>(6);
    number(value);
    return next();
  }
  // f32 zeros; GGUF names the fastest dimension first.
  GgufBytes& tensor(const std::string& name, const std::vector<uint64_t>& reversed_shape) {
    std::string info = sized(name) + packed<uint32_t>(reversed_shape.size());
    uint64_t bytes = 4;
    for (const uint64_t dimension : reversed_shape) {
      info += packed(dimension);
      bytes *= dimension;
    }
    tensors_ += info + packed<uint32_t>(0) + packed(data_);
    data_ += (bytes + 31) / 32 * 32;
    ++num_tensors_;
    return *this;
  }
  [[nodiscard]] io::GgufFile open() const {
    auto bytes = std::make_shared<std::string>("GGUF" + packed<uint32_t>(3) +
                                               packed<uint64_t>(num_tensors_) +
                                               packed<uint64_t>(num_values_) + values_ + tensors_);
    bytes->resize((bytes->size() + 31) / 32 * 32 + data_, '\0');
    return io::GgufFile::parse(
        std::as_bytes(std::span(bytes->data(), bytes->size())), "tiny.gguf", bytes);
  }

 private:
  template <class T, class U>
  static std::string packed(U value) {
    const T number = static_cast<T>(value);
    std::string bytes(sizeof number, '\0');
    std::memcpy(bytes.data(), &number, sizeof number);
    return bytes;
  }
  static std::string packed(uint64_t value) {
    return packed<uint64_t>(value);
  }
  static std::string sized(const std::string& value) {
    return packed<uint64_t>(value.size()) + value;
  }
  void add(const std::string& value) {
    values_ += sized(value);
  }
  template <class T>
  void number(T value) {
    values_ += packed<T>(value);
  }
  GgufBytes& next() {
    ++num_values_;
    return *this;
  }

  std::string values_, tensors_;
  uint64_t num_values_ = 0, num_tensors_ = 0, data_ = 0;
};

GgufBytes tiny(const std::string& architecture = "llama") {
  GgufBytes bytes;
  bytes.text("general.architecture", architecture);
  const auto key = [&](const char* name) { return architecture + "." + name; };
  bytes.count(key("embedding_length"), 12)
      .count(key("block_count"), 1)
      .count(key("attention.head_count"), 3)
      .count(key("attention.head_count_kv"), 1)
      .count(key("feed_forward_length"), 14)
      .count(key("context_length"), 64)
      .real(key("attention.layer_norm_rms_epsilon"), 1e-5F);
  return bytes;
}

std::string shape_error(const GgufBytes& bytes) {
  return error_of([&] { shape_from_gguf(bytes.open()); });
}

TEST(GgufShape, IsReadFromTheMetadata) {
  GgufBytes bytes = tiny();
  bytes.real("llama.rope.freq_base", 5000).tensor("token_embd.weight", {12, 17});
  const DecoderShape shape = shape_from_gguf(bytes.open());
  EXPECT_EQ(shape.architecture, "LlamaForCausalLM");
  EXPECT_EQ(shape.vocabulary, 17);
  EXPECT_EQ(shape.width, 12);
  EXPECT_EQ(shape.layers, 1);
  EXPECT_EQ(shape.heads, 3);
  EXPECT_EQ(shape.kv_heads, 1);
  EXPECT_EQ(shape.head_dim, 4);
  EXPECT_EQ(shape.feed_forward, 14);
  EXPECT_EQ(shape.max_positions, 64);
  EXPECT_EQ(shape.rotary.theta, 5000);
  EXPECT_TRUE(shape.tied_head);
}

TEST(GgufShape, SpecialTokensReachTheConfig) {
  GgufBytes bytes = tiny();
  bytes.count("tokenizer.ggml.bos_token_id", 5).count("tokenizer.ggml.eos_token_id", 7);
  bytes.tensor("token_embd.weight", {12, 17});
  const io::GgufFile file = bytes.open();
  const std::string config = config_from_gguf(file, shape_from_gguf(file));
  EXPECT_THAT(config, HasSubstr("\"bos_token_id\": 5"));
  EXPECT_THAT(config, HasSubstr("\"eos_token_id\": 7"));
  EXPECT_EQ(shape_from_config(config, "config").head_dim, 4);
}

TEST(GgufShape, AnUnknownArchitectureGetsTheNearestOne) {
  EXPECT_THAT(shape_error(tiny("lama").tensor("token_embd.weight", {12, 17})),
              testing::AllOf(HasSubstr("tiny.gguf: architecture \"lama\" is not supported"),
                             HasSubstr("Did you mean \"llama\"?")));
}

TEST(GgufShape, LyingMetadataIsRefused) {
  const auto with = [](const std::function<void(GgufBytes&)>& change) {
    GgufBytes bytes = tiny();
    change(bytes);
    bytes.tensor("token_embd.weight", {12, 17});
    return shape_error(bytes);
  };
  EXPECT_EQ(with([](GgufBytes&) {}), "no error");
  EXPECT_THAT(with([](auto& b) { b.count("llama.attention.key_length", 0); }),
              HasSubstr("llama.attention.key_length is 0"));
  EXPECT_THAT(with([](auto& b) { b.count("llama.attention.key_length", 5); }),
              HasSubstr("must be even"));
  EXPECT_THAT(with([](auto& b) { b.count("llama.rope.dimension_count", 2); }),
              HasSubstr("rope.dimension_count other than the head size 4"));
  EXPECT_THAT(with([](auto& b) { b.count("llama.attention.value_length", 6); }),
              HasSubstr("value_length other than the head size 4"));
  EXPECT_THAT(with([](auto& b) { b.real("llama.rope.freq_base", NAN); }), HasSubstr("freq_base"));
  EXPECT_THAT(with([](auto& b) { b.text("llama.rope.scaling.type", "yarn"); }),
              HasSubstr("rope scaling \"yarn\" is not supported"));
  EXPECT_THAT(with([](auto& b) {
                b.text("llama.rope.scaling.type", "linear").real("llama.rope.scaling.factor", 0);
              }),
              HasSubstr("rope.scaling.factor must be > 0"));
  EXPECT_THAT(with([](auto& b) { b.tensor("rope_freqs.weight", {2}); }),
              HasSubstr("stretched rotary frequencies"));
  EXPECT_THAT(shape_error(tiny().tensor("token_embd.weight", {12})),
              HasSubstr("must have two dimensions, got [12]"));
  EXPECT_THAT(shape_error(tiny()), HasSubstr("token_embd.weight"));
}

TEST(GgufNames, CoverEveryWeight) {
  EXPECT_EQ(gguf_name("model.embed_tokens.weight"), "token_embd.weight");
  EXPECT_EQ(gguf_name("model.layers.11.self_attn.q_proj.bias"), "blk.11.attn_q.bias");
  EXPECT_EQ(gguf_name("model.layers.0.post_attention_layernorm.weight"), "blk.0.ffn_norm.weight");
  EXPECT_EQ(gguf_name("lm_head.weight"), "output.weight");
  EXPECT_THROW(gguf_name("model.layers.0.surprise.weight"), InternalError);
}

}  // namespace
}  // namespace attune::model
