// A build's report as the text that a cache file keeps.
#pragma once

#include <string>
#include <string_view>

#include "attune/data/token_cache.h"

namespace attune::data {

/// Counts one dropped row.
void count_drop(BuildReport& report, std::string_view reason, std::string_view where);

/// The counts as JSON; `from_cache` and `seconds` belong to a run, not to a file.
std::string report_text(const BuildReport& report);
/// The counts again. @throws Error if the text is no report; `path` is the cache it came from.
BuildReport read_report(std::string_view text, const std::filesystem::path& path);

}  // namespace attune::data
