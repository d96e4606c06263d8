// Where the lines of a command's result go.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attune/core/file.h"

namespace attune::cli {

/// A stream, line by line, or a file that is there when it is finished.
class LineWriter {
 public:
  /// @param path    Empty: stdout. A pipe or a device is written as a stream.
  /// @param prompt  Whether a stream gets each line at once.
  explicit LineWriter(const std::string& path, bool prompt = true);
  /// @throws Error if it cannot be written.
  void write(const std::string& line);
  void finish();

 private:
  std::string name_;
  bool prompt_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream_{nullptr, &std::fclose};
  std::optional<AtomicFile> file_;
};

/// That --output is none of the files that are read, nor in a folder of `models`, and can be made.
/// @param results  What would overwrite them.
void check_output(const std::string& output,
                  const std::vector<std::string>& models,
                  const std::vector<std::string>& inputs,
                  std::string_view results);

}  // namespace attune::cli
