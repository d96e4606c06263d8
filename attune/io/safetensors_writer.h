#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "attune/io/tensor_file.h"

namespace attune::io {

/// Writes a safetensors file, whole or not at all. The same tensors and metadata give the same
/// bytes: tensors are laid out by falling element size, then by name, as the `safetensors` package
/// does; the header is padded with spaces to a multiple of 8 bytes.
/// @throws Error if a name is empty, doubled or "__metadata__", a type is quantised, or the disk is
/// full.
/// @throws InternalError if a view's bytes do not fit its shape.
void write_safetensors(const std::filesystem::path& path,
                       std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace attune::io
