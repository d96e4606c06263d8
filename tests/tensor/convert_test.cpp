#include "attune/tensor/convert.h"

#include <bit>
#include <cmath>

#include "tests/tensor/golden.h"

namespace attune::tensor {
namespace {

using tests::numbers;

// Numbers that f16, bf16, f32 and f64 all hold exactly.
const std::vector<double> kNumbers{0, -0.5, 1, -3, 96, 0.25};

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> bytes_of(io::DType dtype) {
  std::vector<float> f32(kNumbers.begin(), kNumbers.end());
  std::vector<uint16_t> bf16;
  for (const float x : f32) {
    bf16.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(x) >> 16));
  }
  switch (dtype) {
    case io::DType::kF64:
      return bytes_of(kNumbers);
    case io::DType::kF32:
      return bytes_of(f32);
    case io::DType::kBF16:
      return bytes_of(bf16);
    default:  // f16: sign, 5 bits of exponent + 15, 10 bits of mantissa
      return bytes_of(std::vector<uint16_t>{0x0000, 0xb800, 0x3c00, 0xc200, 0x5600, 0x3400});
  }
}

TEST(FromView, ReadsEveryFloatType) {
  for (const io::DType dtype :
       {io::DType::kF64, io::DType::kF32, io::DType::kBF16, io::DType::kF16}) {
    const std::vector<std::byte> bytes = bytes_of(dtype);
    const io::TensorView view{.name = "w", .dtype = dtype, .shape = {2, 3}, .bytes = bytes};
    for (const at::ScalarType to : {at::kFloat, at::kBFloat16}) {
      const at::Tensor tensor = from_view(view, to);
      EXPECT_EQ(tensor.scalar_type(), to);
      EXPECT_EQ(tensor.sizes(), at::IntArrayRef({2, 3}));
      EXPECT_EQ(numbers(tensor), kNumbers) << io::name(dtype);
    }
  }
}

TEST(FromView, ReadsMoreThanOnePieceInOrder) {
  // 65,536 numbers a piece; 200,003 are three pieces and a rest.
  std::vector<float> values(200003);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i);
  }
  const std::vector<std::byte> bytes = bytes_of(values);
  const at::Tensor tensor = from_view(
      {.name = "w", .dtype = io::DType::kF32, .shape = {200003}, .bytes = bytes}, at::kFloat);
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(tensor.data_ptr<float>()[i], values[i]);
  }
}

TEST(FromView, RefusesIntegers) {
  const std::vector<std::byte> bytes(16);
  const io::TensorView view{.name = "w", .dtype = io::DType::kI64, .shape = {2}, .bytes = bytes};
  EXPECT_THROW(from_view(view, at::kFloat), Error);
}

TEST(FromView, ReadsAnEmptyTensorAndAScalar) {
  EXPECT_EQ(from_view({.name = "w", .dtype = io::DType::kF32, .shape = {0, 3}}, at::kFloat).numel(),
            0);
  const std::vector<std::byte> bytes = bytes_of(std::vector<float>{2.5F});
  EXPECT_EQ(numbers(from_view({.name = "w", .dtype = io::DType::kF32, .shape = {}, .bytes = bytes},
                              at::kFloat)),
            std::vector<double>{2.5});
}

TEST(ToView, IsReadBackToTheSameBits) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor tensor = tests::normal({7, 11}, 1, dtype);
    const io::TensorView view = to_view("w", tensor);
    EXPECT_EQ(view.name, "w");
    EXPECT_EQ(view.shape, (std::vector<int64_t>{7, 11}));
    EXPECT_TRUE(tests::same_bits(from_view(view, dtype), tensor));
  }
  EXPECT_THROW(to_view("w", tests::normal({7, 11}, 1).t()), InternalError);
}

TEST(ShapeText, NamesEveryDimension) {
  EXPECT_EQ(shape_text(tests::normal({5, 7}, 1)), "[5, 7]");
}

}  // namespace
}  // namespace attune::tensor
