// A run file as a tree in which every value knows its place. Values stay texts until a field with a
// type reads them (fields.h), so YAML's guesses never matter.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attune::config {

/// One value of a run file: a mapping, a list, a scalar, or nothing.
struct Section {
  enum class Kind { kNothing, kScalar, kList, kMapping };

  /// A key of a mapping with its own place.
  struct Entry;

  Kind kind = Kind::kNothing;
  std::string where = {};           ///< "run.yaml:3:5", or the flag that gave it: "--optim.lr".
  std::string text = {};            ///< Of a scalar.
  bool from_flag = false;           ///< Lists then come as one text with commas.
  std::vector<Section> items = {};  ///< Of a list.
  std::vector<Entry> entries = {};  ///< Of a mapping, in the order of the file; keys differ.

  /// The value of `key` in a mapping, or nullptr.
  [[nodiscard]] const Section* find(std::string_view key) const;
  [[nodiscard]] Section* find(std::string_view key);
};

struct Section::Entry {
  std::string key;
  std::string where;  ///< Place of the key.
  Section value;
};

/// Parses the YAML `text`; `name` is what messages call it. An empty text is an empty mapping.
/// @throws Error on invalid YAML, a key written twice, several documents, or a text that is no
/// mapping; always with line and column.
Section parse_run_file(std::string_view text, std::string_view name);

/// parse_run_file of a file's content; messages call it as `path` is written.
/// @throws Error also if the file cannot be read.
Section load(const std::filesystem::path& path);

/// Sets the value at a dotted `key` ("optim.lr", "objective.beta", "objective.1.beta"), as a flag
/// does: mappings on the way are made where missing. In a list, a number picks an item; without a
/// number the list must have one item.
/// @param where  What messages call the place: "--optim.lr".
/// @throws Error if the key leads through a scalar or to a missing item.
void set(Section& root, std::string_view key, std::string_view value, std::string_view where);

}  // namespace attune::config
