// One row of JSON, with errors that name its place.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace attune::data {

/// The object that `text` is.
/// @param where  "file:line" of the row.
/// @throws RowError  For invalid JSON (with its column), a key that stands twice, invalid UTF-8 or
///                   a NUL byte (with its offset), or anything but an object. `\u0000` within a
///                   text is a character like any other.
nlohmann::json parse_row(std::string_view text, std::string_view where);

}  // namespace attune::data
