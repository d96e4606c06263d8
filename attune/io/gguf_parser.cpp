// The layout of a GGUF file: magic, version, counts, metadata, tensor descriptions, padding, data.
// Nothing that the file says of a length or a place is believed before it was compared with the
// bytes that there are.
#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "attune/core/error.h"
#include "attune/io/gguf.h"
#include "attune/io/gguf_cursor.h"
#include "attune/io/mapped_file.h"

static_assert(std::endian::native == std::endian::little, "files are read in place");

namespace attune::io {
namespace {

using GgufValues = std::map<std::string, GgufValue, std::less<>>;

constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kMaxAlignment = 1 << 30;
constexpr uint32_t kMaxDimensions = 4;

// The type that GGUF numbers so, or nothing.
std::optional<DType> from_gguf(uint32_t number) {
  switch (number) {
    case 0:
      return DType::kF32;
    case 1:
      return DType::kF16;
    case 2:
      return DType::kQ4_0;
    case 3:
      return DType::kQ4_1;
    case 6:
      return DType::kQ5_0;
    case 7:
      return DType::kQ5_1;
    case 8:
      return DType::kQ8_0;
    case 12:
      return DType::kQ4_K;
    case 13:
      return DType::kQ5_K;
    case 14:
      return DType::kQ6_K;
    case 24:
      return DType::kI8;
    case 25:
      return DType::kI16;
    case 26:
      return DType::kI32;
    case 27:
      return DType::kI64;
    case 28:
      return DType::kF64;
    case 30:
      return DType::kBF16;
    default:
      return std::nullopt;
  }
}

struct Description {
  TensorView tensor;    // without its bytes
  uint64_t offset = 0;  // of its bytes, from the start of the data
  uint64_t size = 0;
};

Description take_description(GgufCursor& cursor, uint64_t index) {
  Description result;
  TensorView& tensor = result.tensor;
  tensor.name = cursor.take_string(fmt::format("the name of tensor {}", index));
  const std::string what = fmt::format("tensor \"{}\"", tensor.name);
  const auto num_dimensions = cursor.take<uint32_t>(what);
  check(num_dimensions <= kMaxDimensions,
        "{}: {}: expected at most {} dimensions, got {}",
        cursor.where(),
        what,
        kMaxDimensions,
        num_dimensions);
  for (uint32_t i = 0; i < num_dimensions; ++i) {
    const auto size = cursor.take<uint64_t>(what);
    check(size <= kMaxInt, "{}: {}: a dimension of {} is too large", cursor.where(), what, size);
    tensor.shape.push_back(static_cast<int64_t>(size));
  }
  // GGUF lists the innermost dimension first.
  std::reverse(tensor.shape.begin(), tensor.shape.end());
  const auto number = cursor.take<uint32_t>(what);
  const std::optional<DType> dtype = from_gguf(number);
  check(dtype.has_value(),
        "{}: {}: type {} is not one that attune reads. Convert the model to F16, Q8_0, Q4_K or "
        "another common type",
        cursor.where(),
        what,
        number);
  tensor.dtype = *dtype;
  result.offset = cursor.take<uint64_t>(what);

  const std::optional<int64_t> numel = checked_numel(tensor.shape);
  check(numel.has_value(),
        "{}: {}: shape {} overflows",
        cursor.where(),
        what,
        shape_text(tensor.shape));
  const int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
  check(row % block_elements(tensor.dtype) == 0,
        "{}: {}: expected rows of a multiple of {} elements for {}, got {}",
        cursor.where(),
        what,
        block_elements(tensor.dtype),
        name(tensor.dtype),
        row);
  const std::optional<int64_t> size = size_bytes(tensor.dtype, *numel);
  check(size.has_value(),
        "{}: {}: shape {} overflows",
        cursor.where(),
        what,
        shape_text(tensor.shape));
  result.size = static_cast<uint64_t>(*size);
  return result;
}

uint64_t alignment_of(const GgufValues& values, const std::string& where) {
  const auto found = values.find("general.alignment");
  if (found == values.end()) {
    return kDefaultAlignment;
  }
  const auto* const number = std::get_if<int64_t>(&found->second.value);
  check(number != nullptr,
        "{}: general.alignment: expected integer, got {}",
        where,
        found->second.type_name());
  check(*number > 0 && std::has_single_bit(static_cast<uint64_t>(*number)) &&
            static_cast<uint64_t>(*number) <= kMaxAlignment,
        "{}: general.alignment: expected a power of two up to 2^30, got {}",
        where,
        *number);
  return static_cast<uint64_t>(*number);
}

void check_no_overlap(const std::vector<Description>& descriptions, const std::string& where) {
  std::vector<size_t> order(descriptions.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(descriptions[a].offset, descriptions[a].size) <
           std::pair(descriptions[b].offset, descriptions[b].size);
  });
  for (size_t i = 1; i < order.size(); ++i) {
    const Description& before = descriptions[order[i - 1]];
    const Description& here = descriptions[order[i]];
    check(before.offset + before.size <= here.offset,
          "{}: tensor \"{}\" begins at byte {} of the data, inside \"{}\", which ends at {}",
          where,
          here.tensor.name,
          here.offset,
          before.tensor.name,
          before.offset + before.size);
  }
}

// Gives each tensor its bytes.
std::vector<TensorView> place_tensors(std::vector<Description> descriptions,
                                      std::span<const std::byte> bytes,
                                      uint64_t header_end,
                                      uint64_t alignment,
                                      const std::string& where) {
  std::vector<TensorView> tensors;
  tensors.reserve(descriptions.size());
  const uint64_t data_start = (header_end + alignment - 1) / alignment * alignment;
  const uint64_t data_size = data_start <= bytes.size() ? bytes.size() - data_start : 0;
  for (Description& description : descriptions) {
    TensorView& tensor = description.tensor;
    check(description.offset % alignment == 0,
          "{}: tensor \"{}\": expected an offset that is a multiple of {}, got {}",
          where,
          tensor.name,
          alignment,
          description.offset);
    check(description.offset <= data_size && description.size <= data_size - description.offset,
          "{}: tensor \"{}\": its {} bytes at offset {} are beyond the {} bytes of data. Is the "
          "download complete?",
          where,
          tensor.name,
          description.size,
          description.offset,
          data_size);
    if (description.size > 0) {
      tensor.bytes = bytes.subspan(data_start + description.offset, description.size);
    }
  }
  check_no_overlap(descriptions, where);
  for (Description& description : descriptions) {
    tensors.push_back(std::move(description.tensor));
  }
  return tensors;
}

int take_version(GgufCursor& cursor) {
  check(cursor.left() >= 4 && cursor.take<uint32_t>("the magic") == 0x46554747,  // "GGUF"
        "{}: expected a file that begins with \"GGUF\"",
        cursor.where());
  const auto version = cursor.take<uint32_t>("the version");
  check((version & 0xffff) != 0 || version == 0,
        "{}: expected a little-endian GGUF file, got a big-endian one",
        cursor.where());
  check(version == 2 || version == 3,
        "{}: expected GGUF version 2 or 3, got {}",
        cursor.where(),
        version);
  return static_cast<int>(version);
}

}  // namespace

GgufFile GgufFile::parse(std::span<const std::byte> bytes,
                         const std::filesystem::path& where,
                         std::shared_ptr<const void> storage) {
  GgufCursor cursor(bytes, where.string());
  const int version = take_version(cursor);
  const auto num_tensors = cursor.take<uint64_t>("the number of tensors");
  const auto num_values = cursor.take<uint64_t>("the number of metadata keys");
  // Key length, type, one byte.
  cursor.check_count(num_values, 8 + 4 + 1, "metadata");
  // Name length, number of dimensions, type, offset.
  constexpr uint64_t kLeastDescription = 8 + 4 + 4 + 8;
  cursor.check_count(num_tensors, kLeastDescription, "tensors");

  GgufValues values;
  std::map<std::string, std::string> texts;
  for (uint64_t i = 0; i < num_values; ++i) {
    const std::string key = cursor.take_string(fmt::format("metadata key {}", i));
    check(!values.contains(key), "{}: the metadata key \"{}\" is there twice", where.string(), key);
    GgufValue value = take_gguf_value(cursor, fmt::format("metadata key \"{}\"", key));
    if (const auto* const text = std::get_if<std::string>(&value.value)) {
      texts.emplace(key, *text);
    }
    values.emplace(key, std::move(value));
  }
  const uint64_t alignment = alignment_of(values, where.string());

  cursor.check_count(num_tensors, kLeastDescription, "tensors");
  std::vector<Description> descriptions;
  descriptions.reserve(num_tensors);
  for (uint64_t i = 0; i < num_tensors; ++i) {
    descriptions.push_back(take_description(cursor, i));
  }
  std::vector<TensorView> tensors =
      place_tensors(std::move(descriptions), bytes, cursor.at(), alignment, where.string());
  TensorFile file(where, std::move(tensors), std::move(texts), {std::move(storage)});
  return {version, std::move(values), std::move(file)};
}

GgufFile GgufFile::open(const std::filesystem::path& path) {
  const auto file = std::make_shared<const MappedFile>(path);
  GgufFile gguf = parse(file->bytes(), path, file);
  gguf.tensors_.add_mapped(file);
  return gguf;
}

}  // namespace attune::io
