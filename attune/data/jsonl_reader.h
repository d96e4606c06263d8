// One JSON object a line.
#pragma once

#include <string>

#include "attune/data/reader.h"
#include "attune/data/row_schema.h"
#include "attune/io/gzip.h"

namespace attune::data {

/// Reads JSONL, plain or gzip. Blank lines are passed over; a line may be 64 MiB long.
class JsonlReader : public Reader {
 public:
  JsonlReader(const std::filesystem::path& path, const DataOptions& options)
      : source_(path), schema_(options) {}
  std::optional<PreferenceGroup> next() override;

 private:
  io::TextSource source_;
  RowSchema schema_;
};

}  // namespace attune::data
