// The formats that attune reads. A new one is a file with a Reader and a line here.
#include <algorithm>
#include <array>
#include <functional>
#include <system_error>

#include "attune/core/error.h"
#include "attune/core/hint.h"
#include "attune/data/json_array_reader.h"
#include "attune/data/jsonl_reader.h"
#include "attune/data/piece_source.h"
#include "attune/data/reader.h"

namespace attune::data {
namespace {

namespace fs = std::filesystem;

template <class T>
std::unique_ptr<Reader> make(const fs::path& path, const DataOptions& options) {
  return std::make_unique<T>(path, options);
}

/// One format.
struct Format {
  std::string_view name;
  char first;  ///< What its text begins with; 0: anything else.
  std::unique_ptr<Reader> (*open)(const fs::path&, const DataOptions&);
};

const std::array kFormats = {
    Format{"json", '[', make<JsonArrayReader>},
    Format{"jsonl", 0, make<JsonlReader>},
};

/// Formats that people have and attune does not read, by their first bytes.
struct Foreign {
  std::string_view magic;
  std::string_view name;
};
constexpr std::array kForeign = {
    Foreign{"PAR1", "Parquet"},
    Foreign{"PK\x03\x04", "a zip archive"},
    Foreign{"\xFF\xFE", "UTF-16 text"},
    Foreign{"\xFE\xFF", "UTF-16 text"},
    Foreign{"\x28\xB5\x2F\xFD", "a zstd archive"},
    Foreign{"BZh", "a bzip2 archive"},
    Foreign{"ARROW1", "Arrow"},
    Foreign{"\x89HDF", "HDF5"},
};

// A table as spreadsheets write it: a line of names first.
bool is_table(const fs::path& path, std::string_view line) {
  const fs::path plain = path.extension() == ".gz" ? path.stem() : path;
  if (plain.extension() == ".csv" || plain.extension() == ".tsv") {
    return true;
  }
  return line.find_first_of("{[:") == line.npos && line.find_first_of(",\t;") != line.npos &&
         (line.find("chosen") != line.npos || line.find("prompt") != line.npos);
}

// What turns it into JSON lines.
std::string table_command(const std::string& path, std::string_view line) {
  const bool packed = path.ends_with(".gz");
  const std::string_view delimiter = line.find('\t') != line.npos  ? ", delimiter=\"\\t\""
                                     : line.find(',') != line.npos ? ""
                                                                   : ", delimiter=\";\"";
  return fmt::format(
      "{}python3 -c 'import csv, json, sys; [print(json.dumps(row)) for row in "
      "csv.DictReader(sys.stdin{})]'{} > rows.jsonl",
      packed ? fmt::format("gzip -dc {} | ", path) : "",
      delimiter,
      packed ? "" : fmt::format(" < {}", path));
}

void check_file(const fs::path& path) {
  std::error_code failed;
  if (fs::exists(path, failed)) {
    check(!fs::is_directory(path), "{}: expected a file, got a folder", path.string());
    // A file is read more than once: to recognise it, for its checksum, for its rows.
    check(fs::is_regular_file(path),
          "{}: expected a file, got a device or a pipe. Save the rows in a file",
          path.string());
    return;
  }
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::vector<std::string> names;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  check(fs::is_directory(folder, failed),
        "{}: there is no folder {}",
        path.string(),
        folder.string());
  throw Error(fmt::format("{}: there is no such file.{}",
                          path.string(),
                          did_you_mean(path.filename().string(), names)));
}

const Format& detect(const fs::path& path) {
  PieceSource source(path);
  std::string_view piece = source.next();
  check(!piece.empty(), "{}: the file is empty. attune reads a JSON object a line", path.string());
  for (const Foreign& foreign : kForeign) {
    check(!piece.starts_with(foreign.magic),
          "{}: this is {}; attune reads JSONL and JSON arrays in UTF-8, plain or gzip",
          path.string(),
          foreign.name);
  }
  size_t at = piece.find_first_not_of(" \t\r\n");
  while (at == std::string_view::npos && !(piece = source.next()).empty()) {
    at = piece.find_first_not_of(" \t\r\n");
  }
  check(at != std::string_view::npos, "{}: the file holds nothing but white space", path.string());
  const bool json = piece[at] == '{' || piece[at] == '[';
  const std::string_view line = piece.substr(at, piece.find_first_of("\r\n", at) - at);
  check(json || !is_table(path, line),
        "{}: this is a table of separated values; attune reads JSONL and JSON arrays. Python turns "
        "one into the other: {}",
        path.string(),
        table_command(path.string(), line));
  return *std::find_if(kFormats.begin(), kFormats.end(), [&](const Format& format) {
    return format.first == 0 || format.first == piece[at];
  });
}

}  // namespace

std::unique_ptr<Reader> open_reader(const fs::path& path, const DataOptions& options) {
  check_file(path);
  const Format& found = detect(path);
  if (options.format == "auto") {
    return found.open(path, options);
  }
  const std::vector<std::string_view> names = reader_formats();
  const auto named = std::find_if(kFormats.begin(), kFormats.end(), [&](const Format& format) {
    return format.name == options.format;
  });
  check(named != kFormats.end(),
        "data.format: no format \"{}\".{}",
        options.format,
        did_you_mean(options.format, names));
  return named->open(path, options);
}

std::vector<std::string_view> reader_formats() {
  std::vector<std::string_view> names;
  for (const Format& format : kFormats) {
    names.push_back(format.name);
  }
  return names;
}

}  // namespace attune::data
