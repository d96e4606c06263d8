// Writes a token cache front to back in constant memory.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attune/core/file.h"
#include "attune/core/hash.h"
#include "attune/data/cache_format.h"
#include "attune/data/encoded_group.h"

namespace attune::data {

/// One cache file in the making. What is not finished leaves no file.
class CacheWriter {
 public:
  /// @param key  32 hexadecimal digits: what the cache is made from.
  /// @throws Error if the folder cannot be written.
  CacheWriter(const std::filesystem::path& path, std::string_view key);

  /// Appends a group; all groups have the same values.
  /// @throws Error if the disk is full, or there are more different tags than kMaxTags.
  void add(const EncodedGroup& group, uint64_t prompt_hash, std::string_view where);
  /// Appends index, report and footer, and gives the file its name.
  void finish(std::string_view report);

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const {
      std::fclose(file);
    }
  };

  void write(const void* bytes, size_t size);
  void write_index();
  void write_names();
  uint32_t number_of(const std::string& tag, std::string_view where);
  void write_numbers(const EncodedGroup& group);
  void flush();

  AtomicFile file_;
  std::unique_ptr<std::FILE, CloseFile> index_;  ///< Records wait in a file without a name.
  std::string path_;
  Hasher checksum_;
  std::string piece_;    ///< Bytes that are not written yet; at most kCachePiece.
  uint64_t offset_ = 0;  ///< Bytes given to write() so far.
  CacheFooter footer_;
  std::map<std::string, uint32_t> tags_;  ///< With their numbers, from 1 on.
  std::vector<std::string> tag_names_;    ///< In the order of their numbers.
  std::vector<std::string> values_;       ///< Names of the values, of the first group.
};

}  // namespace attune::data
