// Golden tensors, differences and errors, for the tests of the tensor rooms.
#pragma once

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include "attune/core/error.h"
#include "attune/core/random.h"
#include "attune/io/tensor_file.h"

#include "tests/source_dir.h"

namespace attune::tests {

/// A file of tests/golden.
inline std::filesystem::path golden(std::string_view file) {
  return tests::source_dir() / "tests" / "golden" / file;
}

/// The folder of real data, see ATTUNE_TEST_DATA.
inline std::filesystem::path test_data() {
  const char* const given = std::getenv("ATTUNE_TEST_DATA");
  return given != nullptr ? given : (tests::source_dir() / "../shared/data").string();
}

/// The bits of a tensor in a file, as a tensor of the file's type (f32, f64 or int64).
inline at::Tensor read_tensor(const io::TensorFile& file, std::string_view name) {
  const io::TensorView& view = file.at(name);
  const at::ScalarType dtype = view.dtype == io::DType::kF32   ? at::kFloat
                               : view.dtype == io::DType::kF64 ? at::kDouble
                                                               : at::kLong;
  ensure(view.dtype == io::DType::kF32 || view.dtype == io::DType::kF64 ||
             view.dtype == io::DType::kI64,
         "{} is {}",
         name,
         io::name(view.dtype));
  at::Tensor tensor = at::empty(view.shape, at::TensorOptions().dtype(dtype));
  std::memcpy(tensor.data_ptr(), view.bytes.data(), view.bytes.size());
  return tensor;
}

/// Its numbers, row-major.
inline std::vector<double> numbers(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kDouble).contiguous();
  const auto* data = flat.const_data_ptr<double>();
  return {data, data + flat.numel()};
}

/// The largest absolute difference; infinite if the shapes differ or a number is NaN.
inline double difference(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined() || !b.defined() || a.sizes() != b.sizes()) {
    return std::numeric_limits<double>::infinity();
  }
  const std::vector<double> x = numbers(a);
  const std::vector<double> y = numbers(b);
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double off = std::abs(x[i] - y[i]);
    worst = off <= worst ? worst : (std::isnan(off) ? INFINITY : off);
  }
  return worst;
}

/// The largest absolute number.
inline double magnitude(const at::Tensor& a) {
  double worst = 0;
  for (const double x : numbers(a)) {
    worst = std::max(worst, std::abs(x));
  }
  return worst;
}

/// Whether every bit is the same.
inline bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() &&
         std::memcmp(
             a.contiguous().const_data_ptr(), b.contiguous().const_data_ptr(), a.nbytes()) == 0;
}

/// Standard normal numbers, the same for the same seed in f32 and f64 up to rounding.
inline at::Tensor normal(std::vector<int64_t> shape,
                         uint64_t seed,
                         at::ScalarType dtype = at::kDouble) {
  const at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
  RandomStream random(stream_key(seed, "test"));
  auto* data = tensor.data_ptr<double>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    data[i] = random.normal();
  }
  return tensor.to(dtype);
}

/// The message of the Error that `action` throws, or "no error".
template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

/// A path in the test's own temporary folder, which is made.
inline std::filesystem::path temp_path(std::string_view file) {
  const auto* const info = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = fmt::format("attune_{}_{}", info->test_suite_name(), info->name());
  for (char& c : name) {
    c = c == '/' ? '_' : c;
  }
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / name;
  std::filesystem::create_directories(folder);
  return folder / file;
}

}  // namespace attune::tests
