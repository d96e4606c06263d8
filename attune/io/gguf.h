// GGUF files (versions 2 and 3, little-endian): typed metadata and tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "attune/io/tensor_file.h"

namespace attune::io {

/// One metadata value. Integers of every width are int64_t (a uint64 beyond its range is uint64_t),
/// floats of both widths are double; arrays likewise. An array of arrays is a vector of values.
struct GgufValue {
  std::variant<int64_t,
               uint64_t,
               double,
               bool,
               std::string,
               std::vector<int64_t>,
               std::vector<uint64_t>,
               std::vector<double>,
               std::vector<bool>,
               std::vector<std::string>,
               std::vector<GgufValue>>
      value;

  /// "integer", "array of strings" and so on, for messages.
  [[nodiscard]] std::string_view type_name() const;
};

/// An opened GGUF file. A value: copies share the mapping.
class GgufFile {
 public:
  /// @throws Error naming the file, the key or tensor, and the byte offset where it went wrong.
  static GgufFile open(const std::filesystem::path& path);
  /// The same from memory; `where` stands for the path in messages. `storage` owns `bytes`; without
  /// it the caller keeps them alive.
  static GgufFile parse(std::span<const std::byte> bytes,
                        const std::filesystem::path& where,
                        std::shared_ptr<const void> storage = nullptr);

  /// 2 or 3.
  [[nodiscard]] int version() const {
    return version_;
  }
  /// Every key of the file.
  [[nodiscard]] const std::map<std::string, GgufValue, std::less<>>& values() const {
    return values_;
  }
  [[nodiscard]] bool has(std::string_view key) const;
  /// @throws Error naming file and key, and the nearest key, if it is not there.
  [[nodiscard]] const GgufValue& value(std::string_view key) const;

  /// The typed accessors. @throws Error naming file, key, expected and got type, and the nearest
  /// key if there is none of that name.
  [[nodiscard]] const std::string& get_string(std::string_view key) const;
  [[nodiscard]] int64_t get_int(std::string_view key) const;
  /// Also takes an integer.
  [[nodiscard]] double get_float(std::string_view key) const;
  [[nodiscard]] bool get_bool(std::string_view key) const;
  /// The array accessors take an empty array of any type.
  [[nodiscard]] const std::vector<std::string>& get_strings(std::string_view key) const;
  [[nodiscard]] const std::vector<int64_t>& get_ints(std::string_view key) const;
  [[nodiscard]] const std::vector<double>& get_floats(std::string_view key) const;

  /// The tensors under GGUF's own names ("blk.0.attn_q.weight"), shapes row-major (GGUF's
  /// reversed). metadata() of it holds the string values of the file.
  [[nodiscard]] const TensorFile& tensor_file() const {
    return tensors_;
  }
  [[nodiscard]] const std::vector<TensorView>& tensors() const {
    return tensors_.tensors();
  }
  [[nodiscard]] const TensorView* find(std::string_view name) const {
    return tensors_.find(name);
  }
  [[nodiscard]] const TensorView& at(std::string_view name) const {
    return tensors_.at(name);
  }
  [[nodiscard]] const std::filesystem::path& path() const {
    return tensors_.path();
  }

 private:
  GgufFile(int version, std::map<std::string, GgufValue, std::less<>> values, TensorFile tensors);

  [[noreturn]] void refuse(std::string_view key, std::string_view expected) const;
  template <class T>
  const T& get(std::string_view key, std::string_view expected) const;
  template <class T>
  const std::vector<T>& get_array(std::string_view key, std::string_view expected) const;

  int version_;
  std::map<std::string, GgufValue, std::less<>> values_;
  TensorFile tensors_;
};

}  // namespace attune::io
