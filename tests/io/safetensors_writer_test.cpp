#include "attune/io/safetensors_writer.h"

#include <array>

#include "tests/io/support.h"

namespace attune::io {
namespace {

using testing::HasSubstr;

TensorView view(std::string name, DType dtype, std::vector<int64_t> shape, std::string_view bytes) {
  return {
      .name = std::move(name), .dtype = dtype, .shape = std::move(shape), .bytes = as_bytes(bytes)};
}

TEST(SafetensorsWriter, TheBytesAreTheFormats) {
  const auto path = temp_path("a.safetensors");
  const std::string floats = packed(2.0F) + packed(3.0F) + packed(5.0F);
  // Given in another order: wide types come first, equal types by name.
  const std::array tensors{view("u", DType::kU8, {2, 1}, "uv"),
                           view("z", DType::kF32, {}, std::string_view(floats).substr(8)),
                           view("h", DType::kBF16, {1}, "hh"),
                           view("b", DType::kF32, {2}, std::string_view(floats).substr(0, 8))};
  write_safetensors(path, tensors, {{"made", "by \"me\""}, {"format", "pt"}});
  const std::string header = R"({"__metadata__":{"format":"pt","made":"by \"me\""},)"
                             R"("b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                             R"("z":{"dtype":"F32","shape":[],"data_offsets":[8,12]},)"
                             R"("h":{"dtype":"BF16","shape":[1],"data_offsets":[12,14]},)"
                             R"("u":{"dtype":"U8","shape":[2,1],"data_offsets":[14,16]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  const std::string expected = packed<uint64_t>(padded.size()) + padded + floats + "hhuv";
  EXPECT_EQ(read_file(path), expected);
}

TEST(SafetensorsWriter, WhatIsWrittenIsReadBack) {
  const auto path = temp_path("a.safetensors");
  const std::array tensors{view("käse \t\"\\", DType::kI16, {2, 3}, "abcdefghijkl"),
                           view("empty", DType::kF64, {0, 5}, ""),
                           view("flag", DType::kBool, {1}, "\x01")};
  write_safetensors(path, tensors);
  const TensorFile file = open_safetensors(path);
  ASSERT_EQ(file.tensors().size(), tensors.size());
  EXPECT_TRUE(file.metadata().empty());
  for (const TensorView& tensor : tensors) {
    const TensorView& read = file.at(tensor.name);
    EXPECT_EQ(read.dtype, tensor.dtype);
    EXPECT_EQ(read.shape, tensor.shape);
    ASSERT_EQ(read.bytes.size(), tensor.bytes.size());
    EXPECT_TRUE(std::equal(read.bytes.begin(), read.bytes.end(), tensor.bytes.begin()));
  }
}

TEST(SafetensorsWriter, TheDataBeginsAtAMultipleOfEight) {
  for (int length = 1; length <= 9; ++length) {
    const auto path = temp_path("a.safetensors");
    const std::array tensors{view(std::string(length, 'n'), DType::kU8, {3}, "abc")};
    write_safetensors(path, tensors);
    EXPECT_EQ((std::filesystem::file_size(path) - 3) % 8, 0U) << length;
    EXPECT_EQ(open_safetensors(path).tensors().size(), 1U);
  }
}

TEST(SafetensorsWriter, TheSafetensorsPackagesFileIsWrittenByteForByte) {
  const TensorFile read = open_safetensors(golden("gguf_types.safetensors"));
  const auto path = temp_path("again.safetensors");
  write_safetensors(path, read.tensors(), read.metadata());
  EXPECT_TRUE(read_file(path) == read_file(golden("gguf_types.safetensors")));
}

TEST(SafetensorsWriter, WhatCannotBeWrittenIsRefusedAndTheOldFileStays) {
  const auto path = temp_path("a.safetensors");
  write_file(path, "old");
  const auto refusal = [&](const TensorView& tensor) {
    const std::array tensors{tensor, view("w", DType::kU8, {3}, "abc")};
    return error_of([&] { write_safetensors(path, tensors); });
  };
  EXPECT_THAT(refusal(view("w", DType::kU8, {1}, "x")),
              HasSubstr("two tensors have the name \"w\""));
  EXPECT_THAT(refusal(view("", DType::kU8, {1}, "x")), HasSubstr("expected a tensor's name"));
  EXPECT_THAT(refusal(view("__metadata__", DType::kU8, {1}, "x")), HasSubstr("__metadata__"));
  EXPECT_THAT(refusal(view("\xff", DType::kU8, {1}, "x")), HasSubstr("in UTF-8"));
  EXPECT_THAT(refusal(view("q", DType::kQ8_0, {32}, std::string(34, 'q'))),
              HasSubstr("tensor \"q\": safetensors cannot hold Q8_0"));
  EXPECT_THROW(refusal(view("v", DType::kF32, {3}, "abc")), InternalError);
  EXPECT_EQ(read_file(path), "old");
}

}  // namespace
}  // namespace attune::io
