#pragma once

#include <cstdint>
#include <string_view>

namespace attune::report {

/// CRC-32C (Castagnoli; reflected polynomial 0x82F63B78) of the bytes.
uint32_t crc32c(std::string_view bytes);

/// The checksum as TFRecord files store it: rotated right by 15 bits, plus 0xa282ead8.
uint32_t masked_crc32c(std::string_view bytes);

}  // namespace attune::report
