// e^x in a form that compilers make vectors of.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace attune::nn {

/// e^x for x <= 88: 2^k e^r with |r| <= ln(2)/2 and a polynomial of degree 6 for e^r; relative
/// error below 3e-7. Below -87.3 the result is 0.
[[gnu::always_inline]] inline float exp_of(float x) {
  constexpr float kLog2e = 1.44269504088896341F;
  const float clamped = x < -87.3F ? -87.3F : (x > 88.0F ? 88.0F : x);
  const float shifted = clamped * kLog2e + 12582912.0F;  // 1.5 * 2^23: rounds to nearest
  const float k = shifted - 12582912.0F;
  float r = clamped - k * 0.693145751953125F;
  r -= k * 1.42860682030941723212e-6F;
  float p = 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  int32_t bits = 0;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = static_cast<int32_t>((static_cast<uint32_t>(bits) << 23) + 0x3f800000U);
  float scale = 0;
  std::memcpy(&scale, &bits, sizeof scale);
  return x < -87.3F ? 0.0F : p * scale;
}

[[gnu::always_inline]] inline double exp_of(double x) {
  return std::exp(x);
}

}  // namespace attune::nn
