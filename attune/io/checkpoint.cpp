// Checkpoint folders: one safetensors file, or shards with an index.
#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "attune/core/error.h"
#include "attune/core/hint.h"
#include "attune/io/json.h"
#include "attune/io/tensor_file.h"

namespace attune::io {
namespace {

namespace fs = std::filesystem;

// What stands in a folder without safetensors, as advice.
std::string what_else(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".gguf") {
      return fmt::format(" There is {}: give that file instead of the folder.",
                         entry.path().filename().string());
    }
    if (extension == ".bin" || extension == ".pt" || extension == ".pth") {
      return fmt::format(
          " There is {}: convert it to safetensors first, since a pickle can run "
          "code.",
          entry.path().filename().string());
    }
  }
  return "";
}

// Tensor name to shard name.
using WeightMap = std::map<std::string, std::string>;

WeightMap read_weight_map(const fs::path& index) {
  const nlohmann::json root = read_json(index);
  check(root.is_object() && root.contains("weight_map") && root.at("weight_map").is_object(),
        "{}: expected an object with an object \"weight_map\"",
        index.string());
  WeightMap map;
  for (const auto& [tensor, shard] : root.at("weight_map").items()) {
    check(shard.is_string(),
          "{}: weight_map: tensor \"{}\": expected a file name, got {}",
          index.string(),
          tensor,
          json_type(shard));
    const auto& file = shard.get_ref<const std::string&>();
    // The index may come from anywhere: it must not lead out of the folder.
    check(!file.empty() && file != "." && file != ".." && fs::path(file).filename() == file &&
              file.find('\0') == std::string::npos,
          "{}: weight_map: tensor \"{}\": expected the name of a file in the same folder, got "
          "\"{}\"",
          index.string(),
          tensor,
          file);
    map.emplace(tensor, file);
  }
  check(!map.empty(), "{}: weight_map names no tensor", index.string());
  return map;
}

// Every tensor of `shard` must be listed, and under this very shard.
void check_shard(const TensorFile& shard,
                 const std::string& file,
                 const WeightMap& map,
                 const fs::path& index) {
  for (const TensorView& tensor : shard.tensors()) {
    const auto listed = map.find(tensor.name);
    check(listed != map.end(),
          "{}: it holds the tensor \"{}\", which {} does not list",
          shard.path().string(),
          tensor.name,
          index.filename().string());
    check(listed->second == file,
          "{}: it holds the tensor \"{}\", which {} lists in {}",
          shard.path().string(),
          tensor.name,
          index.filename().string(),
          listed->second);
  }
}

TensorFile open_shards(const fs::path& folder, const fs::path& index) {
  const WeightMap map = read_weight_map(index);
  std::map<std::string, size_t> num_listed;  // in the order of the shards' names
  for (const auto& [tensor, file] : map) {
    ++num_listed[file];
  }
  std::vector<TensorView> tensors;
  std::map<std::string, std::string> metadata;
  std::vector<std::shared_ptr<const void>> storage;
  std::vector<std::shared_ptr<const MappedFile>> mapped;
  for (const auto& [file, count] : num_listed) {
    check(fs::exists(folder / file),
          "{}: the shard {} is missing. Download it, or the whole checkpoint, again",
          index.string(),
          file);
    const TensorFile shard = open_safetensors(folder / file);
    check_shard(shard, file, map, index);
    if (shard.tensors().size() != count) {
      for (const auto& [tensor, listed_in] : map) {
        check(listed_in != file || shard.find(tensor) != nullptr,
              "{}: the tensor \"{}\" is not in {}, where it is listed",
              index.string(),
              tensor,
              file);
      }
    }
    tensors.insert(tensors.end(), shard.tensors().begin(), shard.tensors().end());
    metadata.insert(shard.metadata().begin(), shard.metadata().end());
    storage.insert(storage.end(), shard.storage().begin(), shard.storage().end());
    mapped.insert(mapped.end(), shard.mapped().begin(), shard.mapped().end());
  }
  TensorFile all(index, std::move(tensors), std::move(metadata), std::move(storage));
  for (const auto& file : mapped) {
    all.add_mapped(file);
  }
  return all;
}

}  // namespace

TensorFile open_checkpoint(const fs::path& folder) {
  check(fs::is_directory(folder),
        "{}: expected the folder of a checkpoint, got {}",
        folder.string(),
        fs::exists(folder) ? "a file" : "nothing of that name");
  const fs::path single = folder / "model.safetensors";
  if (fs::exists(single)) {
    return open_safetensors(single);
  }
  const fs::path index = folder / "model.safetensors.index.json";
  check(fs::exists(index),
        "{}: expected model.safetensors or model.safetensors.index.json, got neither.{}",
        folder.string(),
        what_else(folder));
  return open_shards(folder, index);
}

}  // namespace attune::io
