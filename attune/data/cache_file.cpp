#include "attune/data/cache_file.h"

#include <algorithm>
#include <cstring>
#include <fstream>

#include "attune/core/error.h"
#include "attune/core/hash.h"
#include "attune/data/cache_format.h"

namespace attune::data {
namespace {

std::string read_bytes(std::ifstream& file, size_t size, const std::filesystem::path& path) {
  std::string bytes(size, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  check(static_cast<size_t>(file.gcount()) == size, "{}: cannot be read", path.string());
  return bytes;
}

}  // namespace

void check_cache(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  check(file.is_open(), "{}: cannot be opened", path.string());
  const auto size = static_cast<uint64_t>(std::max<std::streamoff>(file.tellg(), 0));
  check(size >= kCacheMagic.size() + sizeof(CacheFooter), "{}: the cache is cut", path.string());
  file.seekg(0);

  Hasher checksum;
  uint64_t left = size - sizeof(uint64_t);
  bool first = true;
  do {
    const std::string piece =
        read_bytes(file, static_cast<size_t>(std::min<uint64_t>(left, kCachePiece)), path);
    check(!first || piece.starts_with(kCacheName), "{}: this is no token cache", path.string());
    check(!first || piece.starts_with(kCacheMagic),
          "{}: the cache is of another version of attune",
          path.string());
    first = false;
    checksum.add(piece);
    left -= piece.size();
  } while (left > 0);
  // A writer whose last piece is full adds an empty one.
  if ((size - sizeof(uint64_t)) % kCachePiece == 0) {
    checksum.add(std::string_view());
  }
  uint64_t written = 0;
  const std::string tail = read_bytes(file, sizeof written, path);
  std::memcpy(&written, tail.data(), sizeof written);
  check(written == checksum.word(), "{}: the cache is damaged", path.string());
}

}  // namespace attune::data
