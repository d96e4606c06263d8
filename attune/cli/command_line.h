// The arguments of one command: positionals and --key=value flags, with hints and --help.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attune/cli/command.h"
#include "attune/cli/terminal.h"
#include "attune/config/fields.h"
#include "attune/config/run_file.h"
#include "attune/core/field.h"

namespace attune::cli {

/// What a command's --help says beside its flags.
struct Usage {
  std::string_view name = {};      ///< "inspect", or "config check".
  std::string_view synopsis = {};  ///< What follows the name: "PATH...".
  std::string_view about = {};     ///< Some sentences.
  std::string_view examples = {};  ///< Lines of commands, each with what it does; may be empty.
  size_t least = 0;                ///< Fewest positionals.
  size_t most = 0;                 ///< Most positionals.
};

/// Reads the arguments of a command. Describe, then parse:
///
///   GenerateOptions options;
///   CommandLine line(kUsage);
///   line.add(options);
///   if (!line.parse(arguments)) {
///     return kGood;  // --help was printed
///   }
///
/// Flags are --key=value or --key value; a switch may stand alone; hyphens in a key read as
/// underscores; after -- everything is positional.
class CommandLine {
 public:
  explicit CommandLine(const Usage& usage) : usage_(usage) {}

  /// The fields of `options` become flags; --columns.prompt=question sets an entry of a mapping.
  /// `options` is filled by parse() and must outlive it.
  template <Options T>
  void add(T& options) {
    for (config::FieldRef& field : config::list_fields(options)) {
      fields_.push_back(std::move(field));
    }
  }

  /// Also takes the options of a run file, --section.key=value, collected in run_flags().
  /// @param switches  Keys of those that may stand alone.
  void take_run_flags(std::vector<std::string> switches);

  /// False if --help was asked for; it is printed then.
  /// @throws Error for an unknown flag, a bad value, too few or too many positionals.
  [[nodiscard]] bool parse(Arguments arguments);

  [[nodiscard]] const std::vector<std::string>& positionals() const {
    return positionals_;
  }
  /// Positional `i`, or `otherwise` if there are fewer.
  [[nodiscard]] std::string positional(size_t i, std::string_view otherwise = "") const {
    return i < positionals_.size() ? positionals_[i] : std::string(otherwise);
  }
  [[nodiscard]] const std::vector<config::Flag>& run_flags() const {
    return run_flags_;
  }
  /// What --log chose.
  [[nodiscard]] LogKind log() const {
    return log_;
  }
  /// The text of --help.
  [[nodiscard]] std::string help() const;

 private:
  const config::FieldRef* find_field(std::string_view key) const;
  bool is_switch(std::string_view key) const;
  [[nodiscard]] bool knows(const std::string& key) const;
  void take_flag(const std::string& key, const std::string& value);
  void check_count() const;

  Usage usage_;
  std::vector<config::FieldRef> fields_;
  config::Section flags_{.kind = config::Section::Kind::kMapping};
  bool takes_run_flags_ = false;
  std::vector<std::string> switches_;
  std::vector<std::string> positionals_;
  std::vector<config::Flag> run_flags_;
  LogKind log_ = LogKind::kText;
};

}  // namespace attune::cli
