#include "attune/io/tensor_file.h"

#include "tests/io/support.h"

namespace attune::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// Two tensors, written out of the order of their bytes: "b" 2 x 3 F32 (24 bytes), then "a" 5 I8.
constexpr std::string_view kHeader =
    R"({"__metadata__":{"format":"pt"},)"
    R"("a":{"dtype":"I8","shape":[5],"data_offsets":[24,29]},)"
    R"("b":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}  )";

std::string sample_data() {
  std::string data;
  for (const float x : {2.0F, 3.0F, 5.0F, 7.0F, 11.0F, 13.0F}) {
    data += packed(x);
  }
  return data + "\x01\x02\x03\x04\x05";
}

std::string refusal(std::string_view header, std::string_view data) {
  const std::string bytes = safetensors_bytes(header, data);
  return error_of([&] { parse_safetensors(as_bytes(bytes), "x.safetensors"); });
}

// The message for one F32 tensor "w" of this form, with 24 bytes of data.
std::string refusal_of_entry(std::string_view entry) {
  return refusal(fmt::format(R"({{"w":{}}})", entry), std::string(24, '\0'));
}

TEST(Safetensors, GivesTensorsInTheOrderOfTheirBytes) {
  const std::string bytes = safetensors_bytes(kHeader, sample_data());
  const TensorFile file = parse_safetensors(as_bytes(bytes), "x.safetensors");
  ASSERT_EQ(file.tensors().size(), 2U);
  EXPECT_EQ(file.tensors()[0].name, "b");
  EXPECT_EQ(file.tensors()[1].name, "a");
  const TensorView& b = file.at("b");
  EXPECT_EQ(b.dtype, DType::kF32);
  EXPECT_THAT(b.shape, ElementsAre(2, 3));
  EXPECT_EQ(b.numel(), 6);
  ASSERT_EQ(b.bytes.size(), 24U);
  float last = 0;
  std::memcpy(&last, b.bytes.data() + 20, sizeof last);
  EXPECT_EQ(last, 13.0F);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.find("c"), nullptr);
}

TEST(Safetensors, AMissingTensorIsNamedWithTheNearest) {
  const std::string header =
      R"({"model.norm.weight":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})";
  const std::string bytes = safetensors_bytes(header, "abc");
  const TensorFile file = parse_safetensors(as_bytes(bytes), "x.safetensors");
  EXPECT_EQ(error_of([&] { static_cast<void>(file.at("model.norm.wieght")); }),
            "x.safetensors: no tensor \"model.norm.wieght\" among its 1. Did you mean "
            "\"model.norm.weight\"?");
}

TEST(Safetensors, ScalarsAndEmptyTensorsAreTensors) {
  const std::string header = R"({"e":{"dtype":"F64","shape":[3,0,7],"data_offsets":[0,0]},)"
                             R"("s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                             R"("z":{"dtype":"I64","shape":[0],"data_offsets":[4,4]}})";
  const std::string bytes = safetensors_bytes(header, packed(0.5F));
  const TensorFile file = parse_safetensors(as_bytes(bytes), "x.safetensors");
  EXPECT_EQ(file.at("s").numel(), 1);
  EXPECT_EQ(file.at("e").numel(), 0);
  EXPECT_TRUE(file.at("z").bytes.empty());
}

TEST(Safetensors, AFileWithoutTensorsIsAFile) {
  const std::string bytes = safetensors_bytes("{}", "");
  EXPECT_TRUE(parse_safetensors(as_bytes(bytes), "x").tensors().empty());
}

TEST(Safetensors, TheRealFixturesAreRead) {
  const auto folder = test_data() / "models" / "safetensors-fixtures";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << "no test data at " << folder << "; set ATTUNE_TEST_DATA";
  }
  const TensorFile plain = open_safetensors(folder / "test.safetensors");
  EXPECT_EQ(plain.tensors().size(), 20U);
  EXPECT_THAT(plain.at("key_0").shape, ElementsAre(10, 10));
  const TensorFile gptq = open_safetensors(folder / "gptq_small.safetensors");
  EXPECT_THAT(gptq.at("qweight").shape, ElementsAre(32, 256));
  EXPECT_EQ(gptq.at("qweight").dtype, DType::kI32);
  EXPECT_EQ(gptq.at("scales").dtype, DType::kF16);
}

TEST(Safetensors, CopiesKeepTheMappingAlive) {
  const auto path = temp_path("a.safetensors");
  write_file(path, safetensors_bytes(kHeader, sample_data()));
  std::optional<TensorFile> first = open_safetensors(path);
  const TensorFile copy = *first;
  first.reset();
  EXPECT_EQ(copy.at("a").bytes[4], std::byte{5});
}

TEST(Safetensors, AFileCutAnywhereIsRefused) {
  const std::string whole = safetensors_bytes(kHeader, sample_data());
  for (size_t length = 0; length < whole.size(); ++length) {
    // A copy of its own, so that a sanitizer sees a read beyond the end.
    const std::string cut = whole.substr(0, length);
    EXPECT_THAT(error_of([&] { parse_safetensors(as_bytes(cut), "cut.safetensors"); }),
                StartsWith("cut.safetensors: "))
        << length;
  }
}

TEST(Safetensors, AFileWithOneByteChangedIsReadOrRefused) {
  const std::string whole = safetensors_bytes(kHeader, sample_data());
  int refused = 0;
  for (size_t place = 0; place < 8 + kHeader.size(); ++place) {
    for (const char other : {'\0', ' ', '"', '{', '}', '[', ']', ',', '0', '9', '\x7f', '\xff'}) {
      std::string changed = whole;
      changed[place] = other;
      const std::string message =
          error_of([&] { parse_safetensors(as_bytes(changed), "changed.safetensors"); });
      EXPECT_TRUE(message == "no error" || message.starts_with("changed.safetensors: ")) << message;
      refused += message != "no error" ? 1 : 0;
    }
  }
  EXPECT_GT(refused, 1500);  // of 12 * 166
}

TEST(Safetensors, ALyingHeaderLengthIsRefused) {
  const auto with_length = [](uint64_t length) {
    const std::string bytes = packed(length) + "{}";
    return error_of([&] { parse_safetensors(as_bytes(bytes), "x"); });
  };
  EXPECT_THAT(with_length(3), HasSubstr("the header's length is 3, but only 2 bytes follow"));
  EXPECT_THAT(with_length(100'000'001), HasSubstr("at most 100000000 bytes"));
  EXPECT_THAT(with_length(~uint64_t{0}), HasSubstr("got a length of 18446744073709551615"));
  EXPECT_THAT(with_length(0), HasSubstr("begins with \"{\""));
  EXPECT_EQ(with_length(2), "no error");
}

TEST(Safetensors, AnEmptyFileIsRefusedByName) {
  const auto path = temp_path("empty.safetensors");
  write_file(path, "");
  EXPECT_THAT(error_of([&] { open_safetensors(path); }),
              HasSubstr("empty.safetensors: expected a safetensors file, got 0 bytes"));
}

TEST(Safetensors, AHeaderThatIsNoJsonIsRefused) {
  EXPECT_THAT(refusal("{\"a\":", ""), HasSubstr("the header is no JSON at its byte"));
  EXPECT_THAT(refusal("[]", ""), HasSubstr("begins with \"{\""));
  EXPECT_THAT(refusal("{}{}", ""), HasSubstr("no JSON at its byte 3"));
  EXPECT_THAT(refusal("{\"\xff\":1}", ""), HasSubstr("no JSON"));
}

TEST(Safetensors, AnEntryOfAnotherFormIsRefused) {
  EXPECT_THAT(refusal_of_entry("7"), HasSubstr("tensor \"w\": expected an object, got a number"));
  EXPECT_THAT(refusal_of_entry("[]"), HasSubstr("tensor \"w\": expected an object, got an array"));
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shape":[6]})"),
              HasSubstr("tensor \"w\": data_offsets is missing"));
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shap":[6],"data_offsets":[0,24]})"),
              HasSubstr("got \"shap\". Did you mean \"shape\"?"));
  EXPECT_THAT(refusal_of_entry(R"({"dtype":5,"shape":[6],"data_offsets":[0,24]})"),
              HasSubstr("dtype: expected a text, got a number"));
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shape":{},"data_offsets":[0,24]})"),
              HasSubstr("shape: expected an array of numbers, got an object"));
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shape":[[6]],"data_offsets":[0,24]})"),
              HasSubstr("shape: expected numbers, got an array"));
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shape":["6"],"data_offsets":[0,24]})"),
              HasSubstr("shape: expected numbers, got a text"));
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shape":null,"data_offsets":[0,24]})"),
              HasSubstr("shape: expected an array of numbers, got null"));
}

TEST(Safetensors, AnUnknownDtypeIsRefused) {
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F8_E4M3","shape":[24],"data_offsets":[0,24]})"),
              HasSubstr("I8, U8 or BOOL, got \"F8_E4M3\""));
}

TEST(Safetensors, NumbersThatAreNoSizesAreRefused) {
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shape":[-6],"data_offsets":[0,24]})"),
              HasSubstr("shape: expected a number from 0, got -6"));
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shape":[6.0],"data_offsets":[0,24]})"),
              HasSubstr("shape: expected a whole number below 2^63, got 6.0"));
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shape":[6],"data_offsets":[0,1e30]})"),
              HasSubstr("data_offsets: expected a whole number below 2^63, got 1e30"));
  EXPECT_THAT(
      refusal_of_entry(R"({"dtype":"F32","shape":[6],"data_offsets":[0,9223372036854775808]})"),
      HasSubstr("data_offsets: expected a whole number below 2^63, got 9223372036854775808"));
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shape":[6],"data_offsets":[0]})"),
              HasSubstr("data_offsets: expected 2 numbers, got 1"));
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shape":[6],"data_offsets":[0,24,24]})"),
              HasSubstr("data_offsets: expected 2 numbers, got more"));
}

TEST(Safetensors, DimensionsThatOverflowAreRefused) {
  // 2^32 * 2^32 elements; and 2^61 elements of 4 bytes.
  EXPECT_THAT(
      refusal_of_entry(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,24]})"),
      HasSubstr("shape [4294967296, 4294967296] overflows"));
  EXPECT_THAT(
      refusal_of_entry(R"({"dtype":"F32","shape":[2305843009213693952],"data_offsets":[0,24]})"),
      HasSubstr("overflows"));
  // Also where a zero makes the true product 0.
  EXPECT_THAT(
      refusal_of_entry(R"({"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]})"),
      HasSubstr("overflows"));
}

TEST(Safetensors, OffsetsThatDoNotFitAreRefused) {
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shape":[7],"data_offsets":[0,28]})"),
              HasSubstr("data_offsets [0, 28] are outside the 24 bytes of data"));
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shape":[6],"data_offsets":[24,0]})"),
              HasSubstr("data_offsets [24, 0] are outside"));
  EXPECT_THAT(refusal_of_entry(R"({"dtype":"F32","shape":[5],"data_offsets":[0,24]})"),
              HasSubstr("expected 20 bytes for F32 [5], got 24 in data_offsets [0, 24]"));
}

TEST(Safetensors, HolesAndOverlapsAreRefused) {
  const auto two = [](int a_begin, int a_end, int b_begin, int b_end) {
    return refusal(fmt::format(R"({{"a":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}},)"
                               R"("b":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}}}})",
                               a_end - a_begin,
                               a_begin,
                               a_end,
                               b_end - b_begin,
                               b_begin,
                               b_end),
                   std::string(24, '\0'));
  };
  EXPECT_EQ(two(0, 11, 11, 24), "no error");
  EXPECT_THAT(two(0, 13, 11, 24), HasSubstr("tensor \"b\" begins at byte 11 of the data, inside"));
  EXPECT_THAT(two(0, 24, 0, 24), HasSubstr("inside another tensor"));
  EXPECT_THAT(two(0, 11, 13, 24), HasSubstr("tensor \"b\" begins at byte 13 of the data, after a"));
  EXPECT_THAT(two(1, 11, 11, 24), HasSubstr("after a hole from byte 0"));
  EXPECT_THAT(two(0, 11, 11, 23),
              HasSubstr("the tensors end at byte 23 of the data, which has 24"));
}

TEST(Safetensors, KeysThatStandTwiceAreRefused) {
  constexpr std::string_view kEntry = R"({"dtype":"U8","shape":[3],"data_offsets":[0,3]})";
  EXPECT_THAT(refusal(fmt::format(R"({{"w":{},"w":{}}})", kEntry, kEntry), "abc"),
              HasSubstr("the header names \"w\" twice"));
  EXPECT_THAT(
      refusal_of_entry(R"({"dtype":"F32","dtype":"I32","shape":[6],"data_offsets":[0,24]})"),
      HasSubstr("tensor \"w\": dtype is given twice"));
  EXPECT_THAT(refusal(R"({"__metadata__":{"a":"x","a":"y"}})", ""),
              HasSubstr("__metadata__ has the key \"a\" twice"));
  EXPECT_THAT(refusal(R"({"__metadata__":{},"__metadata__":{}})", ""), HasSubstr("twice"));
}

TEST(Safetensors, MetadataHoldsTextsOnly) {
  EXPECT_THAT(refusal(R"({"__metadata__":{"a":1}})", ""),
              HasSubstr("__metadata__.a: expected a text, got a number"));
  EXPECT_THAT(refusal(R"({"__metadata__":{"a":{}}})", ""),
              HasSubstr("__metadata__.a: expected a text, got an object"));
  EXPECT_THAT(refusal(R"({"__metadata__":"a"})", ""),
              HasSubstr("__metadata__: expected an object, got a text"));
}

}  // namespace
}  // namespace attune::io
