// attune inspect: what is inside a model, an adapter, a checkpoint or any file of tensors.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attune/cli/command_line.h"
#include "attune/cli/plain_commands.h"
#include "attune/core/error.h"
#include "attune/io/gguf.h"
#include "attune/io/tensor_file.h"

namespace attune::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kShownArray = 5;
constexpr size_t kShownText = 200;

struct InspectOptions {
  bool tensors = true;   ///< List them.
  bool metadata = true;  ///< List it.
  std::string match;     ///< Only tensors whose name holds this.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("tensors", tensors, {.help = "list the tensors: name, type, shape, size"});
    field("metadata", metadata, {.help = "list the metadata"});
    field("match", match, {.help = "list only tensors whose name holds this text"});
  }
};

// One line, cut, without control characters: metadata comes from strangers.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kShownText)) {
    if (c == '\n') {
      out += "\\n";
    } else {
      out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '.' : c;
    }
  }
  return text.size() > kShownText ? fmt::format("{}... ({} bytes)", out, text.size()) : out;
}

std::string value_line(const io::GgufValue& value);

// A metadata value on one line, by its type.
struct Shower {
  std::string operator()(const std::string& text) const {
    return shown(text);
  }
  std::string operator()(bool flag) const {
    return flag ? "true" : "false";
  }
  std::string operator()(int64_t number) const {
    return fmt::format("{}", number);
  }
  std::string operator()(uint64_t number) const {
    return fmt::format("{}", number);
  }
  std::string operator()(double number) const {
    const auto narrow = static_cast<float>(number);  // most are stored so: 1e-05, not 9.9999997e-06
    return static_cast<double>(narrow) == number ? fmt::format("{}", narrow)
                                                 : fmt::format("{}", number);
  }
  std::string operator()(const io::GgufValue& inner) const {
    return value_line(inner);
  }
  template <class T>
  std::string operator()(const std::vector<T>& list) const {
    std::vector<std::string> items;
    for (size_t i = 0; i < std::min(list.size(), kShownArray); ++i) {
      items.push_back((*this)(static_cast<const T&>(list[i])));
    }
    return list.size() > kShownArray
               ? fmt::format("[{}, ...]  {} entries", fmt::join(items, ", "), list.size())
               : fmt::format("[{}]", fmt::join(items, ", "));
  }
};

std::string value_line(const io::GgufValue& value) {
  return std::visit(Shower{}, value.value);
}

void print_table(const std::vector<std::pair<std::string, std::string>>& rows) {
  size_t width = 0;
  for (const auto& [key, value] : rows) {
    width = std::max(width, std::min<size_t>(key.size(), 48));
  }
  for (const auto& [key, value] : rows) {
    fmt::print("  {:<{}}  {}\n", shown(key), width, value);
  }
}

// "layers.2" stands before "layers.10": runs of digits are compared as numbers.
bool comes_before(std::string_view a, std::string_view b) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  while (!a.empty() && !b.empty()) {
    size_t m = 0;
    size_t n = 0;
    while (m < a.size() && is_digit(a[m])) {
      ++m;
    }
    while (n < b.size() && is_digit(b[n])) {
      ++n;
    }
    if (m > 0 && n > 0 && m != n) {
      return m < n;
    }
    const size_t step = m > 0 && n > 0 ? m : 1;
    if (const int order = a.substr(0, step).compare(b.substr(0, step)); order != 0) {
      return order < 0;
    }
    a.remove_prefix(step);
    b.remove_prefix(step);
  }
  return a.size() < b.size();
}

void print_tensors(std::vector<io::TensorView> tensors, const InspectOptions& options) {
  std::ranges::stable_sort(tensors, comes_before, &io::TensorView::name);
  std::map<std::string_view, std::pair<int64_t, int64_t>> by_type;  // count, bytes
  int64_t parameters = 0;
  int64_t bytes = 0;
  size_t width = 0;
  for (const io::TensorView& tensor : tensors) {
    auto& [count, type_bytes] = by_type[io::name(tensor.dtype)];
    ++count;
    type_bytes += static_cast<int64_t>(tensor.bytes.size());
    bytes += static_cast<int64_t>(tensor.bytes.size());
    parameters += tensor.numel();
    width = std::max(width, std::min<size_t>(tensor.name.size(), 64));
  }
  std::vector<std::string> types;
  for (const auto& [type, sums] : by_type) {
    types.push_back(fmt::format("{} {} ({})", sums.first, type, size_text(sums.second)));
  }
  fmt::print("tensors: {}   parameters: {}   size: {}\ntypes: {}\n",
             count_text(static_cast<int64_t>(tensors.size())),
             count_text(parameters),
             size_text(bytes),
             types.empty() ? "none" : fmt::format("{}", fmt::join(types, ", ")));
  if (!options.tensors) {
    return;
  }
  for (const io::TensorView& tensor : tensors) {
    if (tensor.name.find(options.match) != tensor.name.npos) {
      fmt::print("  {:<{}}  {:<5} {:<20} {:>10}\n",
                 shown(tensor.name),
                 width,
                 io::name(tensor.dtype),
                 io::shape_text(tensor.shape),
                 size_text(static_cast<int64_t>(tensor.bytes.size())));
    }
  }
}

void print_metadata(const std::vector<std::pair<std::string, std::string>>& rows,
                    const InspectOptions& options) {
  if (options.metadata && !rows.empty()) {
    fmt::print("metadata:\n");
    print_table(rows);
  }
}

void inspect_gguf(const fs::path& path, const InspectOptions& options) {
  const io::GgufFile file = io::GgufFile::open(path);
  fmt::print("{}: GGUF version {}\n", path.string(), file.version());
  std::vector<std::pair<std::string, std::string>> rows;
  for (const auto& [key, value] : file.values()) {
    rows.emplace_back(key, value_line(value));
  }
  print_metadata(rows, options);
  print_tensors(file.tensors(), options);
}

void inspect_tensors(const io::TensorFile& file,
                     std::string_view what,
                     const InspectOptions& options) {
  fmt::print("{}: {}\n", file.path().string(), what);
  std::vector<std::pair<std::string, std::string>> rows;
  for (const auto& [key, value] : file.metadata()) {
    rows.emplace_back(key, shown(value));
  }
  print_metadata(rows, options);
  print_tensors(file.tensors(), options);
}

// The other files of a folder: what is there, and how large.
void print_files(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory()) {
      rows.emplace_back(name + "/", "folder");
    } else if (entry.is_regular_file()) {
      rows.emplace_back(name, size_text(static_cast<int64_t>(entry.file_size())));
    }
  }
  std::ranges::sort(rows);
  fmt::print("{}: folder\n", folder.string());
  print_table(rows);
}

void inspect_folder(const fs::path& folder, const InspectOptions& options) {
  print_files(folder);
  bool any = false;
  if (fs::exists(folder / "model.safetensors") ||
      fs::exists(folder / "model.safetensors.index.json")) {
    inspect_tensors(io::open_checkpoint(folder), "safetensors model", options);
    any = true;
  }
  std::vector<fs::path> others;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool of_model = name.starts_with("model.") || name.starts_with("model-");
    if (entry.is_regular_file() &&
        ((name.ends_with(".safetensors") && !of_model) || name.ends_with(".gguf"))) {
      others.push_back(entry.path());
    }
  }
  std::ranges::sort(others);
  for (const fs::path& path : others) {
    if (path.extension() == ".gguf") {
      inspect_gguf(path, options);
    } else {
      inspect_tensors(
          io::open_safetensors(path),
          path.filename() == "adapter_model.safetensors" ? "PEFT adapter" : "safetensors file",
          options);
    }
    any = true;
  }
  for (const char* part : {"adapter", "model"}) {  // of a run
    if (!any && fs::is_directory(folder / part) && fs::exists(folder / "run.yaml")) {
      inspect_folder(folder / part, options);
      any = true;
    }
  }
  check(any, "{}: no .safetensors or .gguf file in this folder", folder.string());
}

// The length of a header in JSON, then the header.
bool may_be_safetensors(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  char start[9] = {};
  file.read(start, sizeof start);
  return path.extension() == ".safetensors" || (file.gcount() == sizeof start && start[8] == '{');
}

bool begins_with_gguf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[4] = {};
  file.read(magic, sizeof magic);
  return std::string_view(magic, static_cast<size_t>(file.gcount())) == "GGUF";
}

}  // namespace

int inspect(Arguments arguments) {
  InspectOptions options;
  CommandLine line({.name = "inspect",
                    .synopsis = "PATH...",
                    .about = "Shows what is inside a model, an adapter or a checkpoint: metadata, "
                             "tensors, types, shapes, sizes, parameters. PATH is a .safetensors or "
                             ".gguf file, or a folder with such files. Nothing is loaded but the "
                             "headers.",
                    .examples = "attune inspect model.gguf\n"
                                "attune inspect out/adapter --match=layers.0.\n"
                                "attune inspect model/ --tensors=false",
                    .least = 1,
                    .most = 1000});
  line.add(options);
  if (!line.parse(arguments)) {
    return kGood;
  }
  for (const fs::path path : line.positionals()) {
    check(fs::exists(path), "{}: no such file or folder", path.string());
    if (fs::is_directory(path)) {
      inspect_folder(path, options);
    } else if (begins_with_gguf(path)) {
      inspect_gguf(path, options);
    } else {
      check(may_be_safetensors(path),
            "{}: neither a .safetensors nor a .gguf file. A model, an adapter or a checkpoint is "
            "expected",
            path.string());
      inspect_tensors(io::open_safetensors(path), "safetensors file", options);
    }
  }
  return kGood;
}

}  // namespace attune::cli
