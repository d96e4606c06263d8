#include "attune/io/tensor_file.h"

#include "tests/io/support.h"

namespace attune::io {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A file of U8 tensors of 3 bytes each: "a" holds "aaa".
void write_shard(const fs::path& path, std::string_view names, std::string_view metadata) {
  std::string header = fmt::format(R"({{"__metadata__":{{{}}})", metadata);
  std::string data;
  for (const char name : names) {
    header += fmt::format(R"(,"{}":{{"dtype":"U8","shape":[3],"data_offsets":[{},{}]}})",
                          name,
                          data.size(),
                          data.size() + 3);
    data += std::string(3, name);
  }
  write_file(path, safetensors_bytes(header + "}", data));
}

// A folder with two shards that hold a, b and c, and this index.
fs::path sharded(std::string_view weight_map) {
  const fs::path folder = temp_path("");
  write_shard(folder / "s1.safetensors", "ab", R"("format":"pt")");
  write_shard(folder / "s2.safetensors", "c", R"("format":"np","made":"here")");
  write_file(folder / "model.safetensors.index.json",
             fmt::format(R"({{"metadata":{{"total_size":9}},"weight_map":{}}})", weight_map));
  return folder;
}

std::string refusal(std::string_view weight_map) {
  const fs::path folder = sharded(weight_map);
  return error_of([&] { open_checkpoint(folder); });
}

TEST(Checkpoint, OneFileIsReadAsItIs) {
  const fs::path folder = temp_path("");
  write_shard(folder / "model.safetensors", "ab", "");
  const TensorFile file = open_checkpoint(folder);
  EXPECT_EQ(file.tensors().size(), 2U);
  EXPECT_EQ(file.path(), folder / "model.safetensors");
}

TEST(Checkpoint, ShardsAreMerged) {
  const fs::path folder =
      sharded(R"({"c":"s2.safetensors","a":"s1.safetensors","b":"s1.safetensors"})");
  const TensorFile file = open_checkpoint(folder);
  ASSERT_EQ(file.tensors().size(), 3U);
  EXPECT_EQ(file.tensors()[2].name, "c");
  EXPECT_EQ(file.at("a").bytes[0], std::byte{'a'});
  EXPECT_EQ(file.at("c").bytes[2], std::byte{'c'});
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.metadata().at("made"), "here");
}

TEST(Checkpoint, AMissingShardIsNamed) {
  EXPECT_THAT(refusal(R"({"a":"s1.safetensors","b":"s1.safetensors","c":"s3.safetensors"})"),
              HasSubstr("model.safetensors.index.json: the shard s3.safetensors is missing"));
}

TEST(Checkpoint, ATensorInTheWrongShardIsNamed) {
  EXPECT_THAT(refusal(R"({"a":"s2.safetensors","b":"s1.safetensors","c":"s2.safetensors"})"),
              HasSubstr("s1.safetensors: it holds the tensor \"a\", which "
                        "model.safetensors.index.json lists in s2.safetensors"));
}

TEST(Checkpoint, AListedTensorThatIsAbsentIsNamed) {
  EXPECT_THAT(refusal(R"({"a":"s1.safetensors","b":"s1.safetensors","c":"s2.safetensors",)"
                      R"("d":"s2.safetensors"})"),
              HasSubstr("the tensor \"d\" is not in s2.safetensors, where it is listed"));
}

TEST(Checkpoint, ATensorThatIsNotListedIsNamed) {
  EXPECT_THAT(refusal(R"({"a":"s1.safetensors","c":"s2.safetensors"})"),
              HasSubstr("s1.safetensors: it holds the tensor \"b\", which "
                        "model.safetensors.index.json does not list"));
}

TEST(Checkpoint, ATensorInTwoShardsIsNamed) {
  const fs::path folder =
      sharded(R"({"a":"s1.safetensors","b":"s1.safetensors","c":"s2.safetensors"})");
  write_shard(folder / "s2.safetensors", "ca", "");
  EXPECT_THAT(error_of([&] { open_checkpoint(folder); }),
              HasSubstr("s2.safetensors: it holds the tensor \"a\""));
  EXPECT_THAT(refusal(R"({"a":"s1.safetensors","a":"s2.safetensors"})"),
              HasSubstr("the key \"a\" stands twice"));
}

TEST(Checkpoint, AnIndexDoesNotLeadOutOfItsFolder) {
  for (const char* const file : {"../s1.safetensors", "/etc/passwd", "..", "", "sub/s1"}) {
    EXPECT_THAT(refusal(fmt::format(R"({{"a":"{}"}})", file)),
                HasSubstr("expected the name of a file in the same folder"))
        << file;
  }
  EXPECT_THAT(refusal(R"({"a":"s1.safetensors\u0000x"})"), HasSubstr("in the same folder"));
}

TEST(Checkpoint, AnIndexOfAnotherFormIsRefused) {
  EXPECT_THAT(refusal("[]"), HasSubstr("expected an object with an object \"weight_map\""));
  EXPECT_THAT(refusal("{}"), HasSubstr("weight_map names no tensor"));
  EXPECT_THAT(refusal(R"({"a":[]})"),
              HasSubstr("tensor \"a\": expected a file name, got an array"));
}

TEST(Checkpoint, AFolderWithoutSafetensorsSaysWhatElseIsThere) {
  const fs::path folder = temp_path("");
  EXPECT_THAT(error_of([&] { open_checkpoint(folder); }), HasSubstr("got neither."));
  write_file(folder / "tiny.gguf", "");
  EXPECT_THAT(error_of([&] { open_checkpoint(folder); }),
              HasSubstr("There is tiny.gguf: give that file instead"));
  EXPECT_THAT(error_of([&] { open_checkpoint(folder / "tiny.gguf"); }),
              HasSubstr("expected the folder of a checkpoint, got a file"));
  EXPECT_THAT(error_of([&] { open_checkpoint(folder / "none"); }),
              HasSubstr("got nothing of that name"));
}

}  // namespace
}  // namespace attune::io
