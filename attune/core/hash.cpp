#include "attune/core/hash.h"

#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <xxhash.h>

#include "attune/core/error.h"

namespace attune {

struct Hasher::Impl {
  XXH3_state_t* state = XXH3_createState();
  ~Impl() {
    XXH3_freeState(state);
  }
};

Hasher::Hasher() : impl_(std::make_unique<Impl>()) {
  XXH3_128bits_reset(impl_->state);
}
Hasher::~Hasher() = default;

Hasher& Hasher::add(std::span<const std::byte> bytes) {
  const uint64_t size = bytes.size();
  XXH3_128bits_update(impl_->state, &size, sizeof size);
  XXH3_128bits_update(impl_->state, bytes.data(), bytes.size());
  return *this;
}

Hasher& Hasher::add(std::string_view text) {
  return add(std::as_bytes(std::span(text.data(), text.size())));
}

Hasher& Hasher::add(int64_t value) {
  return add(std::as_bytes(std::span(&value, 1)));
}

Hasher& Hasher::add(double value) {
  return add(std::bit_cast<int64_t>(value));
}

std::string Hasher::hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(impl_->state);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

uint64_t Hasher::word() const {
  return XXH3_128bits_digest(impl_->state).low64;
}

std::string hash_hex(std::string_view bytes) {
  return Hasher().add(bytes).hex();
}

std::string hash_file(const std::filesystem::path& path) {
  // In pieces: a checkpoint's files are as large as the model.
  std::ifstream file(path, std::ios::binary);
  check(file.is_open(), "{}: cannot be read: {}", path.string(), std::strerror(errno));
  Hasher hasher;
  std::string piece(size_t{1} << 20, '\0');
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) || file.gcount() > 0) {
    hasher.add(std::string_view(piece).substr(0, static_cast<size_t>(file.gcount())));
  }
  check(!file.bad(), "{}: reading failed", path.string());
  return hasher.hex();
}

}  // namespace attune
