// TRL's YAML as an attune run file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace attune::config {

/// An attune run file that does what a TRL file asked for.
struct TrlImport {
  std::string yaml;                   ///< The run file; TRL's defaults are written out.
  std::vector<std::string> warnings;  ///< What has no counterpart or another meaning, with places.
};

/// Translates the YAML that `trl dpo --config` reads (DPOConfig, ModelConfig, ScriptArguments).
/// @param name  What messages call it.
/// @throws Error on invalid YAML, on a value of a wrong type, and on a loss that attune lacks: a
/// run with another objective would be no translation.
TrlImport import_trl(std::string_view text, std::string_view name);

}  // namespace attune::config
