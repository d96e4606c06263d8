#pragma once

#include <filesystem>
#include <string_view>

namespace attune::report {

/// Opens a file for appending, made if it is missing. @return the descriptor, to be closed by the
/// caller. @throws Error with the path and the system's reason.
int open_to_append(const std::filesystem::path& path);

/// Appends the bytes, whole or, if the disk is full, not at all.
/// @throws Error with the path and the system's reason; the file is then as it was.
void append_whole(int descriptor, const std::filesystem::path& path, std::string_view bytes);

}  // namespace attune::report
