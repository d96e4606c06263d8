// Files that lie: each lie has its message, and none a crash or a large allocation.
#include "attune/io/gguf.h"

#include "tests/io/support.h"

namespace attune::io {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr uint32_t kUint32 = 4;
constexpr uint32_t kString = 8;
constexpr uint32_t kArray = 9;
constexpr uint32_t kF32 = 0;
constexpr uint32_t kQ4_1 = 3;

std::string text(std::string_view bytes) {
  return packed<uint64_t>(bytes.size()) + std::string(bytes);
}

std::string value(std::string_view key, uint32_t type, std::string_view bytes) {
  return text(key) + packed(type) + std::string(bytes);
}

// Dimensions as in the file: the innermost first.
std::string tensor(std::string_view name,
                   const std::vector<uint64_t>& dimensions,
                   uint32_t type,
                   uint64_t offset) {
  std::string bytes = text(name) + packed(static_cast<uint32_t>(dimensions.size()));
  for (const uint64_t size : dimensions) {
    bytes += packed(size);
  }
  return bytes + packed(type) + packed(offset);
}

struct Parts {
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::vector<std::string> values = {};
  std::vector<std::string> tensors = {};
  std::optional<uint64_t> num_values = {};   // what the file says, if not the truth
  std::optional<uint64_t> num_tensors = {};  // the same
  size_t alignment = 32;
  std::string data = {};
};

std::string assemble(const Parts& parts) {
  std::string bytes = parts.magic + packed(parts.version) +
                      packed<uint64_t>(parts.num_tensors.value_or(parts.tensors.size())) +
                      packed<uint64_t>(parts.num_values.value_or(parts.values.size()));
  for (const auto* const list : {&parts.values, &parts.tensors}) {
    for (const std::string& part : *list) {
      bytes += part;
    }
  }
  bytes.resize((bytes.size() + parts.alignment - 1) / parts.alignment * parts.alignment, '\0');
  return bytes + parts.data;
}

std::string refusal(const Parts& parts) {
  const std::string bytes = assemble(parts);
  return error_of([&] { GgufFile::parse(as_bytes(bytes), "x.gguf"); });
}

// Two tensors, 3 x 7 F32 (84 bytes) and 2 x 32 Q4_1 (40 bytes at 96), and values of several types.
Parts sample() {
  return {.values = {value("general.name", kString, text("tiny")),
                     value("a.count", kUint32, packed<uint32_t>(5)),
                     value("a.words",
                           kArray,
                           packed(kString) + packed<uint64_t>(2) + text("one") + text("two"))},
          .tensors = {tensor("w", {7, 3}, kF32, 0), tensor("q", {32, 2}, kQ4_1, 96)},
          .data = std::string(136, 'd')};
}

TEST(HostileGguf, TheSampleItselfIsRead) {
  const std::string bytes = assemble(sample());
  const GgufFile file = GgufFile::parse(as_bytes(bytes), "x.gguf");
  EXPECT_THAT(file.at("w").shape, testing::ElementsAre(3, 7));
  EXPECT_EQ(file.at("w").bytes.size(), 84U);
  EXPECT_EQ(file.at("q").bytes.data(), file.at("w").bytes.data() + 96);
  EXPECT_EQ(file.tensor_file().metadata().at("general.name"), "tiny");
  Parts second = sample();
  second.version = 2;
  EXPECT_EQ(refusal(second), "no error");
}

TEST(HostileGguf, AFileCutAnywhereIsRefused) {
  const std::string whole = assemble(sample());
  for (size_t length = 0; length < whole.size(); ++length) {
    const std::string cut = whole.substr(0, length);
    EXPECT_THAT(error_of([&] { GgufFile::parse(as_bytes(cut), "cut.gguf"); }),
                StartsWith("cut.gguf: "))
        << length;
  }
}

TEST(HostileGguf, AFileWithOneByteChangedIsReadOrRefused) {
  const std::string whole = assemble(sample());
  int refused = 0;
  for (size_t place = 0; place < whole.size() - 136; ++place) {
    for (const int other : {0, 1, 9, 0x7f, 0x80, 0xff}) {
      std::string changed = whole;
      changed[place] = static_cast<char>(other);
      const std::string message =
          error_of([&] { GgufFile::parse(as_bytes(changed), "changed.gguf"); });
      EXPECT_TRUE(message == "no error" || message.starts_with("changed.gguf: ")) << message;
      refused += message != "no error" ? 1 : 0;
    }
  }
  EXPECT_GT(refused, 600);
}

TEST(HostileGguf, AnEmptyFileIsRefusedByName) {
  const auto path = temp_path("empty.gguf");
  write_file(path, "");
  EXPECT_THAT(error_of([&] { GgufFile::open(path); }),
              HasSubstr("empty.gguf: expected a file that begins with \"GGUF\""));
}

TEST(HostileGguf, WrongMagicAndVersionsAreRefused) {
  EXPECT_THAT(refusal({.magic = "GGML"}), HasSubstr("begins with \"GGUF\""));
  EXPECT_THAT(refusal({.version = 1}), HasSubstr("expected GGUF version 2 or 3, got 1"));
  EXPECT_THAT(refusal({.version = 0}), HasSubstr("version 2 or 3, got 0"));
  EXPECT_THAT(refusal({.version = 4}), HasSubstr("version 2 or 3, got 4"));
  EXPECT_THAT(refusal({.version = 3U << 24}), HasSubstr("got a big-endian one"));
}

TEST(HostileGguf, CountsBeyondTheFileAreRefused) {
  EXPECT_THAT(refusal({.num_values = uint64_t{1} << 60}),
              HasSubstr("metadata: a count of 1152921504606846976 needs at least 13 bytes each"));
  EXPECT_THAT(refusal({.num_tensors = ~uint64_t{0}}),
              HasSubstr("tensors: a count of 18446744073709551615 needs at least 24 bytes each"));
}

TEST(HostileGguf, AStringLongerThanTheFileIsRefused) {
  const std::string bytes = packed<uint64_t>(1000) + "short";
  EXPECT_THAT(refusal({.values = {value("a", kString, bytes)}}),
              HasSubstr("metadata key \"a\" at byte 37 claims a length of 1000 bytes, but only"));
  const std::string most = packed(~uint64_t{0});
  EXPECT_THAT(refusal({.values = {most + std::string(9, 'k')}}),
              HasSubstr("metadata key 0 at byte 24 claims a length of 18446744073709551615"));
  EXPECT_THAT(refusal({.tensors = {most + std::string(17, 'k')}}),
              HasSubstr("the name of tensor 0 at byte 24 claims a length of"));
}

TEST(HostileGguf, AnArrayLongerThanTheFileIsRefused) {
  for (uint32_t type = 0; type <= 12; ++type) {
    const std::string bytes = packed(type) + packed(uint64_t{1} << 60);
    EXPECT_THAT(refusal({.values = {value("a", kArray, bytes)}}),
                HasSubstr("metadata key \"a\": a count of 1152921504606846976 needs at least"))
        << type;
  }
}

TEST(HostileGguf, ACountIsMeasuredInBytes) {
  // 64 bytes with the padding, 15 of them behind the count: room for 10 things, not for 10 of 8.
  const std::string bytes = packed<uint32_t>(10) + packed<uint64_t>(10);
  EXPECT_THAT(refusal({.values = {value("a", kArray, bytes)}}),
              HasSubstr("a count of 10 needs at least 8 bytes each, but only 15 bytes are left"));
}

TEST(HostileGguf, UnknownTypesAreRefused) {
  EXPECT_THAT(refusal({.values = {value("a", 13, std::string(8, '\0'))}}),
              HasSubstr("metadata key \"a\": there is no value type 13"));
  EXPECT_THAT(refusal({.values = {value("a", kArray, packed<uint32_t>(13) + packed<uint64_t>(0))}}),
              HasSubstr("metadata key \"a\": there is no element type 13"));
  EXPECT_THAT(refusal({.values = {value("a", 7, "\x02")}}),
              HasSubstr("expected a bool of 0 or 1, got 2"));
  EXPECT_THAT(refusal({.tensors = {tensor("w", {256}, 10, 0)}, .data = std::string(84, 'd')}),
              HasSubstr("tensor \"w\": type 10 is not one that attune reads"));
}

TEST(HostileGguf, ArraysInArraysEndAtFourLevels) {
  const auto nested = [](int levels) {
    std::string bytes;
    for (int level = 1; level < levels; ++level) {
      bytes += packed(kArray) + packed<uint64_t>(1);
    }
    return value("a", kArray, bytes + packed(kUint32) + packed<uint64_t>(1) + packed<uint32_t>(7));
  };
  EXPECT_EQ(refusal({.values = {nested(4)}}), "no error");
  EXPECT_THAT(refusal({.values = {nested(5)}}), HasSubstr("arrays of at most 4 levels"));
  EXPECT_THAT(refusal({.values = {nested(50'000)}}), HasSubstr("arrays of at most 4 levels"));
  const std::string bytes = assemble({.values = {nested(2)}});
  const GgufFile file = GgufFile::parse(as_bytes(bytes), "x.gguf");
  const auto& outer = std::get<std::vector<GgufValue>>(file.value("a").value);
  EXPECT_THAT(std::get<std::vector<int64_t>>(outer.at(0).value), testing::ElementsAre(7));
}

TEST(HostileGguf, AnEmptyArrayIsAnArrayOfEveryType) {
  const std::string bytes =
      assemble({.values = {value("a", kArray, packed(kString) + packed<uint64_t>(0)),
                           value("s", kString, text(""))}});
  const GgufFile file = GgufFile::parse(as_bytes(bytes), "x.gguf");
  EXPECT_TRUE(file.get_ints("a").empty());
  EXPECT_TRUE(file.get_strings("a").empty());
  // An empty text is no array.
  EXPECT_THAT(error_of([&] { static_cast<void>(file.get_ints("s")); }),
              HasSubstr("expected array of integers, got string"));
}

TEST(HostileGguf, NamesThatStandTwiceAreRefused) {
  const std::string a = value("a", kUint32, packed<uint32_t>(5));
  EXPECT_THAT(refusal({.values = {a, a}}), HasSubstr("the metadata key \"a\" is there twice"));
  EXPECT_THAT(refusal({.tensors = {tensor("w", {1}, kF32, 0), tensor("w", {1}, kF32, 32)},
                       .data = std::string(36, 'd')}),
              HasSubstr("the tensor \"w\" is there twice"));
}

TEST(HostileGguf, AlignmentIsAPowerOfTwo) {
  const auto with = [](uint32_t alignment) {
    return refusal({.values = {value("general.alignment", kUint32, packed(alignment))}});
  };
  EXPECT_THAT(with(0), HasSubstr("general.alignment: expected a power of two up to 2^30, got 0"));
  EXPECT_THAT(with(24), HasSubstr("got 24"));
  EXPECT_THAT(with(1U << 31), HasSubstr("got 2147483648"));
  EXPECT_EQ(with(8), "no error");
  EXPECT_EQ(with(1U << 30), "no error");
  EXPECT_THAT(refusal({.values = {value("general.alignment", kString, text("32"))}}),
              HasSubstr("general.alignment: expected integer, got string"));
}

TEST(HostileGguf, AnotherAlignmentMovesTheData) {
  const std::string bytes =
      assemble({.values = {value("general.alignment", kUint32, packed<uint32_t>(256))},
                .tensors = {tensor("w", {3}, 24, 0), tensor("v", {2}, 24, 256)},
                .alignment = 256,
                .data = "abc" + std::string(253, '\0') + "de"});
  const GgufFile file = GgufFile::parse(as_bytes(bytes), "x.gguf");
  EXPECT_EQ(file.at("w").bytes[2], std::byte{'c'});
  EXPECT_EQ(file.at("v").bytes[1], std::byte{'e'});
}

std::string refusal_of_tensor(const std::string& description) {
  return refusal({.tensors = {description}, .data = std::string(84, 'd')});
}

TEST(HostileGguf, DimensionsThatOverflowAreRefused) {
  constexpr uint64_t kBig = uint64_t{1} << 32;
  EXPECT_THAT(refusal_of_tensor(tensor("w", {kBig, kBig}, kF32, 0)),
              HasSubstr("shape [4294967296, 4294967296] overflows"));
  EXPECT_THAT(refusal_of_tensor(tensor("w", {uint64_t{1} << 61}, kF32, 0)), HasSubstr("overflows"));
  EXPECT_THAT(refusal_of_tensor(tensor("w", {~uint64_t{0}}, kF32, 0)),
              HasSubstr("a dimension of 18446744073709551615 is too large"));
  EXPECT_THAT(refusal_of_tensor(tensor("w", {1, 1, 1, 1, 1}, kF32, 0)),
              HasSubstr("expected at most 4 dimensions, got 5"));
}

TEST(HostileGguf, RowsOfHalfBlocksAreRefused) {
  // 16 x 2 elements are one block of 32, but a row is half of it.
  EXPECT_THAT(refusal_of_tensor(tensor("w", {16, 2}, kQ4_1, 0)),
              HasSubstr("expected rows of a multiple of 32 elements for Q4_1, got 16"));
}

TEST(HostileGguf, PlacesBeyondTheDataAreRefused) {
  EXPECT_EQ(refusal_of_tensor(tensor("w", {21}, kF32, 0)), "no error");
  EXPECT_THAT(refusal_of_tensor(tensor("w", {22}, kF32, 0)),
              HasSubstr("its 88 bytes at offset 0 are beyond the 84 bytes of data"));
  EXPECT_THAT(refusal_of_tensor(tensor("w", {1}, kF32, 96)), HasSubstr("at offset 96 are beyond"));
  EXPECT_THAT(refusal_of_tensor(tensor("w", {8}, kF32, ~uint64_t{0} - 31)),
              HasSubstr("at offset 18446744073709551584 are beyond"));
  EXPECT_THAT(refusal_of_tensor(tensor("w", {1}, kF32, 8)),
              HasSubstr("expected an offset that is a multiple of 32, got 8"));
}

TEST(HostileGguf, TensorsThatShareBytesAreRefused) {
  EXPECT_THAT(refusal({.tensors = {tensor("w", {21}, kF32, 0), tensor("v", {1}, kF32, 64)},
                       .data = std::string(84, 'd')}),
              HasSubstr("tensor \"v\" begins at byte 64 of the data, inside \"w\""));
}

}  // namespace
}  // namespace attune::io
