// Metadata values of GGUF files.
#include <algorithm>
#include <optional>
#include <vector>

#include "attune/io/gguf_cursor.h"

namespace attune::io {
namespace {

constexpr int kMaxArrayDepth = 4;

// The numbers of GGUF's value types.
enum class ValueType : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
};

// Fewest bytes that a value of the type can take, or 0 if there is no such type.
uint64_t least_bytes(ValueType type) {
  constexpr uint64_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
  const auto index = static_cast<size_t>(type);
  return index < std::size(kBytes) ? kBytes[index] : 0;
}

bool take_bool(GgufCursor& cursor, const std::string& what) {
  const auto byte = cursor.take<uint8_t>(what);
  check(byte <= 1, "{}: {}: expected a bool of 0 or 1, got {}", cursor.where(), what, byte);
  return byte == 1;
}

template <class Stored, class Held>
std::vector<Held> take_numbers(GgufCursor& cursor, uint64_t count, const std::string& what) {
  std::vector<Held> numbers(count);
  for (Held& number : numbers) {
    number = static_cast<Held>(cursor.take<Stored>(what));
  }
  return numbers;
}

GgufValue take_unsigned_numbers(GgufCursor& cursor, uint64_t count, const std::string& what) {
  auto numbers = take_numbers<uint64_t, uint64_t>(cursor, count, what);
  if (std::any_of(numbers.begin(), numbers.end(), [](uint64_t n) { return n > kMaxInt; })) {
    return {std::move(numbers)};
  }
  return {std::vector<int64_t>(numbers.begin(), numbers.end())};
}

GgufValue take_array(GgufCursor& cursor, const std::string& what, int depth) {
  const auto type = static_cast<ValueType>(cursor.take<uint32_t>(what));
  check(least_bytes(type) > 0,
        "{}: {}: there is no element type {}",
        cursor.where(),
        what,
        static_cast<uint32_t>(type));
  const uint64_t count = cursor.take_count(least_bytes(type), what);
  switch (type) {
    case ValueType::kUint8:
      return {take_numbers<uint8_t, int64_t>(cursor, count, what)};
    case ValueType::kInt8:
      return {take_numbers<int8_t, int64_t>(cursor, count, what)};
    case ValueType::kUint16:
      return {take_numbers<uint16_t, int64_t>(cursor, count, what)};
    case ValueType::kInt16:
      return {take_numbers<int16_t, int64_t>(cursor, count, what)};
    case ValueType::kUint32:
      return {take_numbers<uint32_t, int64_t>(cursor, count, what)};
    case ValueType::kInt32:
      return {take_numbers<int32_t, int64_t>(cursor, count, what)};
    case ValueType::kInt64:
      return {take_numbers<int64_t, int64_t>(cursor, count, what)};
    case ValueType::kUint64:
      return take_unsigned_numbers(cursor, count, what);
    case ValueType::kFloat32:
      return {take_numbers<float, double>(cursor, count, what)};
    case ValueType::kFloat64:
      return {take_numbers<double, double>(cursor, count, what)};
    case ValueType::kBool: {
      std::vector<bool> bools(count);
      for (size_t i = 0; i < count; ++i) {
        bools[i] = take_bool(cursor, what);
      }
      return {std::move(bools)};
    }
    case ValueType::kString: {
      std::vector<std::string> texts(count);
      for (std::string& text : texts) {
        text = cursor.take_string(what);
      }
      return {std::move(texts)};
    }
    case ValueType::kArray: {
      check(depth < kMaxArrayDepth,
            "{}: {}: expected arrays of at most {} levels, got deeper nesting",
            cursor.where(),
            what,
            kMaxArrayDepth);
      std::vector<GgufValue> arrays;
      arrays.reserve(count);
      for (uint64_t i = 0; i < count; ++i) {
        arrays.push_back(take_array(cursor, what, depth + 1));
      }
      return {std::move(arrays)};
    }
  }
  throw InternalError("take_array: unreachable type");
}

}  // namespace

GgufValue take_gguf_value(GgufCursor& cursor, const std::string& what) {
  const auto type = static_cast<ValueType>(cursor.take<uint32_t>(what));
  switch (type) {
    case ValueType::kUint8:
      return {int64_t{cursor.take<uint8_t>(what)}};
    case ValueType::kInt8:
      return {int64_t{cursor.take<int8_t>(what)}};
    case ValueType::kUint16:
      return {int64_t{cursor.take<uint16_t>(what)}};
    case ValueType::kInt16:
      return {int64_t{cursor.take<int16_t>(what)}};
    case ValueType::kUint32:
      return {int64_t{cursor.take<uint32_t>(what)}};
    case ValueType::kInt32:
      return {int64_t{cursor.take<int32_t>(what)}};
    case ValueType::kInt64:
      return {cursor.take<int64_t>(what)};
    case ValueType::kUint64: {
      const auto number = cursor.take<uint64_t>(what);
      return number > kMaxInt ? GgufValue{number} : GgufValue{static_cast<int64_t>(number)};
    }
    case ValueType::kFloat32:
      return {double{cursor.take<float>(what)}};
    case ValueType::kFloat64:
      return {cursor.take<double>(what)};
    case ValueType::kBool:
      return {take_bool(cursor, what)};
    case ValueType::kString:
      return {cursor.take_string(what)};
    case ValueType::kArray:
      return take_array(cursor, what, /*depth=*/1);
  }
  throw Error(fmt::format(
      "{}: {}: there is no value type {}", cursor.where(), what, static_cast<uint32_t>(type)));
}

}  // namespace attune::io
