// Named tensors in files: safetensors, alone or in shards. Nothing is copied: views look into the
// mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "attune/io/dtype.h"

namespace attune::io {

class MappedFile;

/// One tensor of a file. The bytes belong to the file's mapping and may be unaligned.
struct TensorView {
  std::string name = {};
  DType dtype = DType::kF32;
  /// Row-major, outermost dimension first, as in Hugging Face checkpoints; empty for a scalar.
  std::vector<int64_t> shape = {};
  /// Little-endian elements or blocks, exactly size_bytes(dtype, numel()) long.
  std::span<const std::byte> bytes = {};

  /// The product of the shape; 1 for a scalar. Readers have checked that it does not overflow.
  [[nodiscard]] int64_t numel() const;
};

/// "[576, 1536]", for messages.
std::string shape_text(std::span<const int64_t> shape);

/// The product of `shape`, or nothing if a dimension is negative or the product overflows.
std::optional<int64_t> checked_numel(std::span<const int64_t> shape);

/// The tensors of one file or of a checkpoint's shards, merged. A value: copies share the mapping,
/// and views stay valid while any copy lives.
class TensorFile {
 public:
  /// `storage` keeps the bytes alive that the views look into.
  /// @throws Error if two tensors have one name.
  TensorFile(std::filesystem::path path,
             std::vector<TensorView> tensors,
             std::map<std::string, std::string> metadata,
             std::vector<std::shared_ptr<const void>> storage);

  /// In the order of the bytes in the file, shard after shard.
  [[nodiscard]] const std::vector<TensorView>& tensors() const {
    return tensors_;
  }
  /// The tensor of that name, or nullptr.
  [[nodiscard]] const TensorView* find(std::string_view name) const;
  /// @throws Error naming the file and the nearest name.
  [[nodiscard]] const TensorView& at(std::string_view name) const;
  /// The texts of "__metadata__"; of several shards the first to name a key wins.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const {
    return metadata_;
  }
  /// The file, or the index of a sharded checkpoint.
  [[nodiscard]] const std::filesystem::path& path() const {
    return path_;
  }
  /// The files that the views look into, where they are mapped ones.
  void add_mapped(const std::shared_ptr<const MappedFile>& file) {
    mapped_.push_back(file);
  }
  [[nodiscard]] const std::vector<std::shared_ptr<const MappedFile>>& mapped() const {
    return mapped_;
  }
  /// Gives back the memory that pages of mapped files take in this process; views stay valid and
  /// are read from the files again.
  void release_pages() const;
  /// What keeps the views' bytes alive.
  [[nodiscard]] const std::vector<std::shared_ptr<const void>>& storage() const {
    return storage_;
  }

 private:
  std::filesystem::path path_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
  std::vector<std::shared_ptr<const void>> storage_;
  std::vector<std::shared_ptr<const MappedFile>> mapped_;
  std::unordered_map<std::string, size_t> index_;
};

/// Opens one safetensors file. Every length, offset and shape is checked before use.
/// @throws Error naming the file, and the tensor where there is one.
TensorFile open_safetensors(const std::filesystem::path& path);

/// The same from memory; `where` stands for the path in messages. `storage` owns `bytes`.
TensorFile parse_safetensors(std::span<const std::byte> bytes,
                             const std::filesystem::path& where,
                             std::shared_ptr<const void> storage = nullptr);

/// Opens a Hugging Face checkpoint folder: `model.safetensors`, or the shards that
/// `model.safetensors.index.json` lists.
/// @throws Error if neither is there, a shard is missing, or index and shards disagree.
TensorFile open_checkpoint(const std::filesystem::path& folder);

}  // namespace attune::io
