// The reader of safetensors files: 8 bytes header length, a JSON header, then the tensors' bytes
// without holes.
#include <algorithm>
#include <bit>
#include <cstring>

#include "attune/core/error.h"
#include "attune/io/mapped_file.h"
#include "attune/io/safetensors_header.h"
#include "attune/io/tensor_file.h"

static_assert(std::endian::native == std::endian::little, "files are read in place");

namespace attune::io {
namespace {

constexpr uint64_t kLengthBytes = 8;

// Tensors must follow each other from byte 0 to the end: no overlap, no hole, as in the
// `safetensors` package. `entries` are in the order of their bytes.
void check_coverage(const std::vector<SafetensorsEntry>& entries,
                    int64_t data_bytes,
                    const std::string& where) {
  int64_t expected = 0;
  for (const SafetensorsEntry& entry : entries) {
    check(entry.begin <= entry.end && entry.end <= data_bytes,
          "{}: tensor \"{}\": data_offsets [{}, {}] are outside the {} bytes of data. Is the "
          "download complete?",
          where,
          entry.name,
          entry.begin,
          entry.end,
          data_bytes);
    const std::optional<int64_t> numel = checked_numel(entry.shape);
    const std::optional<int64_t> size =
        numel ? size_bytes(entry.dtype, *numel) : std::optional<int64_t>();
    check(size.has_value(),
          "{}: tensor \"{}\": shape {} overflows",
          where,
          entry.name,
          shape_text(entry.shape));
    check(*size == entry.end - entry.begin,
          "{}: tensor \"{}\": expected {} bytes for {} {}, got {} in data_offsets [{}, {}]",
          where,
          entry.name,
          *size,
          name(entry.dtype),
          shape_text(entry.shape),
          entry.end - entry.begin,
          entry.begin,
          entry.end);
    check(entry.begin == expected,
          "{}: tensor \"{}\" begins at byte {} of the data, {} byte {}, where the one before ends",
          where,
          entry.name,
          entry.begin,
          entry.begin < expected ? "inside another tensor, before" : "after a hole from",
          expected);
    expected = entry.end;
  }
  check(expected == data_bytes,
        "{}: the tensors end at byte {} of the data, which has {}",
        where,
        expected,
        data_bytes);
}

}  // namespace

TensorFile parse_safetensors(std::span<const std::byte> bytes,
                             const std::filesystem::path& where,
                             std::shared_ptr<const void> storage) {
  check(bytes.size() >= kLengthBytes,
        "{}: expected a safetensors file, got {} bytes, too few for its header's length",
        where.string(),
        bytes.size());
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  check(length <= kMaxSafetensorsHeader,
        "{}: expected a header of at most {} bytes, got a length of {}. Is it a safetensors file?",
        where.string(),
        kMaxSafetensorsHeader,
        length);
  check(length <= bytes.size() - kLengthBytes,
        "{}: the header's length is {}, but only {} bytes follow. Is the download complete?",
        where.string(),
        length,
        bytes.size() - kLengthBytes);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  check(text.starts_with('{'),
        "{}: expected a header that begins with \"{{\". Is it a safetensors file?",
        where.string());

  SafetensorsHeader header = parse_safetensors_header(text, where);
  std::stable_sort(header.entries.begin(), header.entries.end(), [](auto& a, auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  const std::span<const std::byte> data = bytes.subspan(kLengthBytes + length);
  check_coverage(header.entries, static_cast<int64_t>(data.size()), where.string());

  std::vector<TensorView> tensors;
  tensors.reserve(header.entries.size());
  for (SafetensorsEntry& entry : header.entries) {
    tensors.push_back({.name = std::move(entry.name),
                       .dtype = entry.dtype,
                       .shape = std::move(entry.shape),
                       .bytes = data.subspan(static_cast<size_t>(entry.begin),
                                             static_cast<size_t>(entry.end - entry.begin))});
  }
  return {where, std::move(tensors), std::move(header.metadata), {std::move(storage)}};
}

TensorFile open_safetensors(const std::filesystem::path& path) {
  const auto file = std::make_shared<const MappedFile>(path);
  TensorFile tensors = parse_safetensors(file->bytes(), path, file);
  tensors.add_mapped(file);
  return tensors;
}

}  // namespace attune::io
