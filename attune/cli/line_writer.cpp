#include "attune/cli/line_writer.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "attune/core/error.h"

namespace attune::cli {

namespace fs = std::filesystem;

LineWriter::LineWriter(const std::string& path, bool prompt)
    : name_(path.empty() ? "stdout" : path), prompt_(prompt) {
  if (path.empty()) {
    stream_ = {stdout, [](std::FILE*) { return 0; }};
  } else if (fs::exists(path) && !fs::is_regular_file(path)) {  // a pipe, a device
    stream_ = {std::fopen(path.c_str(), "wb"), &std::fclose};
    check(stream_ != nullptr, "{}: cannot be written: {}", path, std::strerror(errno));
  } else {
    file_.emplace(path);
  }
}

void LineWriter::write(const std::string& line) {
  if (file_) {
    file_->write(line);
    return;
  }
  const bool good = std::fwrite(line.data(), 1, line.size(), stream_.get()) == line.size() &&
                    (!prompt_ || std::fflush(stream_.get()) == 0);
  check(good, "{}: writing failed: {}", name_, std::strerror(errno));
}

void LineWriter::finish() {
  if (file_) {
    file_->commit();
    return;
  }
  check(std::fflush(stream_.get()) == 0, "{}: writing failed: {}", name_, std::strerror(errno));
}

namespace {

// Whether `path` is in `folder`, or in one of its folders.
bool lies_in(const fs::path& path, const fs::path& folder) {
  std::error_code failed;
  const fs::path relative = fs::relative(path, folder, failed);
  return !failed && !relative.empty() && *relative.begin() != "..";
}

}  // namespace

void check_output(const std::string& output,
                  const std::vector<std::string>& models,
                  const std::vector<std::string>& inputs,
                  std::string_view results) {
  for (const std::string& model : models) {
    check(output.empty() || model.empty() || !lies_in(output, model),
          "--output {} is part of {}, which is read; name another file for the {}",
          output,
          model,
          results);
  }
  const fs::path folder = fs::path(output).parent_path();
  check(output.empty() || folder.empty() || fs::is_directory(folder),
        "--output {}: no folder {}",
        output,
        folder.string());
  check(output.empty() || !fs::is_directory(output), "--output {}: it is a folder", output);
  for (const std::string& input : inputs) {
    std::error_code failed;
    check(output.empty() || !fs::equivalent(output, input, failed),
          "--output and the rows are both {}; the {} would overwrite the rows",
          input,
          results);
  }
}

}  // namespace attune::cli
