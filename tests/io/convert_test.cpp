#include "attune/io/convert.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "attune/io/gguf.h"

#include "tests/io/support.h"

namespace attune::io {
namespace {

using testing::HasSubstr;

constexpr std::string_view kConvertible[] = {
    "f16", "f32", "f64", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"};

std::vector<float> floats(const TensorView& tensor) {
  std::vector<float> out(static_cast<size_t>(tensor.numel()));
  to_f32(tensor, out);
  return out;
}

// The float16's value by its definition, s (1 + m / 1024) 2^(e - 15) or s m 2^-24.
double f16_by_definition(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const double mantissa = bits & 1023;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) {
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  }
  return sign *
         (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
}

TEST(Convert, EveryTypeEqualsTheGgufPackageToTheBit) {
  const GgufFile file = GgufFile::open(golden("gguf_types.gguf"));
  const TensorFile expected = open_safetensors(golden("gguf_types.safetensors"));
  for (const std::string_view name : kConvertible) {
    const TensorView& tensor = file.at(name);
    const std::vector<float> got = floats(tensor);
    const std::vector<float> want = floats(expected.at(name));
    ASSERT_EQ(tensor.shape, expected.at(name).shape) << name;
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(want[i]))
          << name << " element " << i << ": " << got[i] << ", expected " << want[i];
    }
  }
}

TEST(Convert, EveryHalfIsExact) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const double expected = f16_by_definition(static_cast<uint16_t>(bits));
    const float got = f32_from_f16(static_cast<uint16_t>(bits));
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(got)) << bits;
    } else {
      ASSERT_EQ(got, expected) << bits;
      ASSERT_EQ(std::signbit(got), (bits & 0x8000) != 0) << bits;
    }
  }
}

TEST(Convert, RoundingToBf16EqualsTheGgufPackage) {
  const TensorFile expected = open_safetensors(golden("gguf_types.safetensors"));
  const std::vector<float> cases = floats(expected.at("bf16_cases"));
  const TensorView& rounded = expected.at("bf16_rounded");
  ASSERT_EQ(rounded.numel(), 512);
  for (size_t i = 0; i < cases.size(); ++i) {
    uint16_t want = 0;
    std::memcpy(&want, rounded.bytes.data() + 2 * i, sizeof want);
    ASSERT_EQ(bf16_from_f32(cases[i]), want) << i << ": " << cases[i];
  }
}

TEST(Convert, Bf16TiesGoToEvenAndNanStaysNan) {
  // 1 + 2^-8 lies between 1 (even) and 1 + 2^-7; 1 + 3 2^-8 between 1 + 2^-7 and 1 + 2^-6 (even).
  EXPECT_EQ(f32_from_bf16(bf16_from_f32(1 + 0x1p-8F)), 1.0F);
  EXPECT_EQ(f32_from_bf16(bf16_from_f32(1 + 0x3p-8F)), 1 + 0x1p-6F);
  EXPECT_EQ(bf16_from_f32(std::numeric_limits<float>::max()), 0x7f80);  // infinity
  EXPECT_TRUE(std::isnan(f32_from_bf16(bf16_from_f32(std::bit_cast<float>(0x7f800001U)))));
  EXPECT_TRUE(std::isnan(f32_from_bf16(bf16_from_f32(std::bit_cast<float>(0xffffffffU)))));
}

TEST(Convert, Bf16IsTheRoundedF32OfEveryType) {
  const GgufFile file = GgufFile::open(golden("gguf_types.gguf"));
  for (const std::string_view name : kConvertible) {
    const TensorView& tensor = file.at(name);
    const std::vector<float> wide = floats(tensor);
    std::vector<uint16_t> out(wide.size());
    to_bf16(tensor, out);
    for (size_t i = 0; i < wide.size(); ++i) {
      ASSERT_EQ(out[i], bf16_from_f32(wide[i])) << name << " element " << i;
    }
  }
}

// A Q4_K tensor of 17 blocks of random bits: longer than to_bf16's pieces.
TEST(Convert, PiecesEqualTheWhole) {
  std::mt19937 random(7);
  std::string bytes(17 * 144, '\0');
  for (char& c : bytes) {
    c = static_cast<char>(random() & 0x3b);  // keeps the float16 scales finite
  }
  const TensorView tensor{
      .name = "w", .dtype = DType::kQ4_K, .shape = {17, 256}, .bytes = as_bytes(bytes)};
  const std::vector<float> whole = floats(tensor);
  std::vector<uint16_t> whole_bf16(whole.size());
  to_bf16(tensor, whole_bf16);
  for (const auto& [first, count] : {std::pair{0, 0}, {0, 256}, {3 * 256, 11 * 256}, {4352, 0}}) {
    std::vector<float> piece(count);
    to_f32(tensor, first, count, piece);
    std::vector<uint16_t> piece_bf16(count);
    to_bf16(tensor, first, count, piece_bf16);
    for (int i = 0; i < count; ++i) {
      ASSERT_EQ(piece[i], whole[first + i]) << first << " + " << i;
      ASSERT_EQ(piece_bf16[i], whole_bf16[first + i]) << first << " + " << i;
      ASSERT_EQ(piece_bf16[i], bf16_from_f32(piece[i])) << first << " + " << i;
    }
  }
}

TEST(Convert, BytesMayBeUnaligned) {
  const std::string bytes = "x" + packed(2.5F) + packed(-7.0F);
  const TensorView tensor{.name = "w",
                          .dtype = DType::kF32,
                          .shape = {2},
                          .bytes = as_bytes(std::string_view(bytes).substr(1))};
  EXPECT_THAT(floats(tensor), testing::ElementsAre(2.5F, -7.0F));
}

TEST(Convert, IntegersAreRefusedByName) {
  const std::string bytes(3, 'i');
  const TensorView tensor{
      .name = "ids", .dtype = DType::kU8, .shape = {3}, .bytes = as_bytes(bytes)};
  EXPECT_THAT(error_of([&] { floats(tensor); }),
              HasSubstr("tensor \"ids\": expected floats or quantised blocks, got U8"));
  std::vector<uint16_t> out(3);
  EXPECT_THAT(error_of([&] { to_bf16(tensor, out); }), HasSubstr("got U8"));
}

TEST(Convert, ARangeThatIsNoneIsABug) {
  const std::string bytes(40, '\0');
  const TensorView tensor{
      .name = "w", .dtype = DType::kQ4_1, .shape = {2, 32}, .bytes = as_bytes(bytes)};
  std::vector<float> out(64);
  const std::span<float> room(out);
  EXPECT_NO_THROW(to_f32(tensor, 32, 32, room.first(32)));
  EXPECT_THROW(to_f32(tensor, 16, 32, room.first(32)), InternalError);
  EXPECT_THROW(to_f32(tensor, 0, 16, room.first(16)), InternalError);
  EXPECT_THROW(to_f32(tensor, 32, 64, room), InternalError);
  EXPECT_THROW(to_f32(tensor, -32, 32, room.first(32)), InternalError);
  EXPECT_THROW(to_f32(tensor, 0, 32, room), InternalError);
}

}  // namespace
}  // namespace attune::io
