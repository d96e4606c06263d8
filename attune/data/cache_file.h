// Whether a token cache is as it was written.
#pragma once

#include <filesystem>

namespace attune::data {

/// Reads the whole file once, in pieces. @throws Error if it is missing, cut or damaged.
void check_cache(const std::filesystem::path& path);

}  // namespace attune::data
