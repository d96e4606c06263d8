#include "attune/io/dequantise.h"

#include <array>
#include <bit>
#include <cstring>

#include "attune/io/convert.h"

// Vectorise the block loops, and never fuse a product into a sum: that would change the last bit.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("O3", "fp-contract=off")
#elif defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

namespace attune::io {
namespace {

uint8_t byte_at(const std::byte* in, int64_t i) {
  return std::to_integer<uint8_t>(in[i]);
}

float half_at(const std::byte* in) {
  uint16_t bits = 0;
  std::memcpy(&bits, in, sizeof bits);
  return f32_from_f16(bits);
}

// The 8 scales and 8 minima of Q4_K and Q5_K, 6 bits each in 12 bytes: bytes 0-3 hold scales 0-3
// and, in their top bits, the top of scales 4-7; bytes 4-7 the same of the minima; bytes 8-11 the
// low halves of scales and minima 4-7.
struct SixBitScales {
  std::array<float, 8> scale;
  std::array<float, 8> minimum;
};

SixBitScales six_bit_scales(const std::byte* in, float d, float d_min) {
  SixBitScales result{};
  for (size_t i = 0; i < 4; ++i) {
    const auto at = static_cast<int64_t>(i);
    const uint8_t s = byte_at(in, at);
    const uint8_t m = byte_at(in, at + 4);
    const uint8_t low = byte_at(in, at + 8);
    result.scale[i] = d * static_cast<float>(s & 0x3f);
    result.minimum[i] = d_min * static_cast<float>(m & 0x3f);
    result.scale[i + 4] = d * static_cast<float>((low & 0x0f) | ((s >> 2) & 0x30));
    result.minimum[i + 4] = d_min * static_cast<float>((low >> 4) | ((m >> 2) & 0x30));
  }
  return result;
}

}  // namespace

void dequantise_q8_0(const std::byte* in, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, in += 34, out += 32) {
    const float d = half_at(in);
    for (int64_t i = 0; i < 32; ++i) {
      out[i] = d * static_cast<float>(static_cast<int8_t>(byte_at(in, 2 + i)));
    }
  }
}

void dequantise_q4_0(const std::byte* in, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, in += 18, out += 32) {
    const float d = half_at(in);
    for (int64_t i = 0; i < 16; ++i) {
      const int q = byte_at(in, 2 + i);
      out[i] = d * static_cast<float>((q & 0x0f) - 8);
      out[i + 16] = d * static_cast<float>((q >> 4) - 8);
    }
  }
}

void dequantise_q4_1(const std::byte* in, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, in += 20, out += 32) {
    const float d = half_at(in);
    const float m = half_at(in + 2);
    for (int64_t i = 0; i < 16; ++i) {
      const int q = byte_at(in, 4 + i);
      out[i] = d * static_cast<float>(q & 0x0f) + m;
      out[i + 16] = d * static_cast<float>(q >> 4) + m;
    }
  }
}

void dequantise_q5_0(const std::byte* in, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, in += 22, out += 32) {
    const float d = half_at(in);
    uint32_t high = 0;
    std::memcpy(&high, in + 2, sizeof high);
    for (int64_t i = 0; i < 16; ++i) {
      const int q = byte_at(in, 6 + i);
      const int low_fifth = static_cast<int>((high >> i) & 1) << 4;
      const int high_fifth = static_cast<int>((high >> (i + 16)) & 1) << 4;
      out[i] = d * static_cast<float>(((q & 0x0f) | low_fifth) - 16);
      out[i + 16] = d * static_cast<float>(((q >> 4) | high_fifth) - 16);
    }
  }
}

void dequantise_q5_1(const std::byte* in, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, in += 24, out += 32) {
    const float d = half_at(in);
    const float m = half_at(in + 2);
    uint32_t high = 0;
    std::memcpy(&high, in + 4, sizeof high);
    for (int64_t i = 0; i < 16; ++i) {
      const int q = byte_at(in, 8 + i);
      const int low_fifth = static_cast<int>((high >> i) & 1) << 4;
      const int high_fifth = static_cast<int>((high >> (i + 16)) & 1) << 4;
      out[i] = d * static_cast<float>((q & 0x0f) | low_fifth) + m;
      out[i + 16] = d * static_cast<float>((q >> 4) | high_fifth) + m;
    }
  }
}

void dequantise_q4_k(const std::byte* in, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, in += 144) {
    const SixBitScales of = six_bit_scales(in + 4, half_at(in), half_at(in + 2));
    const std::byte* quants = in + 16;
    // 32 bytes hold two groups of 32 elements: low halves, then high halves.
    for (size_t group = 0; group < 8; group += 2, quants += 32, out += 64) {
      for (int64_t i = 0; i < 32; ++i) {
        const int q = byte_at(quants, i);
        out[i] = of.scale[group] * static_cast<float>(q & 0x0f) - of.minimum[group];
        out[i + 32] = of.scale[group + 1] * static_cast<float>(q >> 4) - of.minimum[group + 1];
      }
    }
  }
}

void dequantise_q5_k(const std::byte* in, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, in += 176) {
    const SixBitScales of = six_bit_scales(in + 4, half_at(in), half_at(in + 2));
    // Bit g of byte i is the fifth bit of element i in group g.
    const std::byte* const high = in + 16;
    const std::byte* quants = in + 48;
    for (size_t group = 0; group < 8; group += 2, quants += 32, out += 64) {
      for (int64_t i = 0; i < 32; ++i) {
        const int q = byte_at(quants, i);
        const int fifths = byte_at(high, i) >> group;
        const int low = (q & 0x0f) | ((fifths & 1) << 4);
        const int upper = (q >> 4) | ((fifths & 2) << 3);
        out[i] = of.scale[group] * static_cast<float>(low) - of.minimum[group];
        out[i + 32] = of.scale[group + 1] * static_cast<float>(upper) - of.minimum[group + 1];
      }
    }
  }
}

void dequantise_q6_k(const std::byte* in, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, in += 210) {
    const std::byte* low = in;
    const std::byte* high = in + 128;
    const std::byte* scales = in + 192;
    const float d = half_at(in + 208);
    // Two halves of 128 elements: 64 bytes of low four bits, 32 of high two bits, 8 scales.
    for (int half = 0; half < 2; ++half, low += 64, high += 32, scales += 8, out += 128) {
      std::array<float, 8> scale;
      for (size_t i = 0; i < 8; ++i) {
        const auto s = static_cast<int8_t>(byte_at(scales, static_cast<int64_t>(i)));
        scale[i] = d * static_cast<float>(s);
      }
      for (int64_t i = 0; i < 32; ++i) {
        const int l = byte_at(low, i);
        const int m = byte_at(low, i + 32);
        const int h = byte_at(high, i);
        const auto s = static_cast<size_t>(i / 16);
        out[i] = scale[s] * static_cast<float>(((l & 0x0f) | ((h & 0x03) << 4)) - 32);
        out[i + 32] = scale[s + 2] * static_cast<float>(((m & 0x0f) | ((h & 0x0c) << 2)) - 32);
        out[i + 64] = scale[s + 4] * static_cast<float>(((l >> 4) | (h & 0x30)) - 32);
        out[i + 96] = scale[s + 6] * static_cast<float>(((m >> 4) | ((h & 0xc0) >> 2)) - 32);
      }
    }
  }
}

}  // namespace attune::io

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
