#include "attune/cli/command_line.h"

#include <algorithm>
#include <variant>

#include <fmt/format.h>

#include "attune/config/describe.h"
#include "attune/core/error.h"
#include "attune/core/hint.h"

namespace attune::cli {
namespace {

bool is_flag(std::string_view text) {
  return text.starts_with("--") && text.size() > 2;
}

}  // namespace

void CommandLine::take_run_flags(std::vector<std::string> switches) {
  takes_run_flags_ = true;
  switches_ = std::move(switches);
}

bool CommandLine::parse(Arguments arguments) {
  bool flags_ended = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view text = arguments[i];
    if (flags_ended || text == "-" || !text.starts_with('-')) {
      positionals_.emplace_back(text);
      continue;
    }
    if (text == "--") {
      flags_ended = true;
      continue;
    }
    if (text == "--help" || text == "-h") {
      fmt::print("{}", help());
      return false;
    }
    check(is_flag(text), "no flag {}; flags begin with two hyphens", text);
    const size_t equals = text.find('=');
    std::string key(text.substr(2, equals == text.npos ? text.npos : equals - 2));
    std::ranges::replace(key, '-', '_');
    if (equals != text.npos) {
      take_flag(key, std::string(text.substr(equals + 1)));
      continue;
    }
    const std::string_view next = i + 1 < arguments.size() ? arguments[i + 1] : "";
    if (is_switch(key) && next != "true" && next != "false") {
      take_flag(key, "true");
      continue;
    }
    if (!knows(key)) {
      take_flag(key, "");  // says so
    }
    check(i + 1 < arguments.size() && !is_flag(next), "--{} needs a value: --{}=...", key, key);
    take_flag(key, std::string(next));
    ++i;
  }
  config::read_into(fields_, flags_, /*path=*/"");
  check_count();
  return true;
}

// A key with a dot belongs to the field before it.
const config::FieldRef* CommandLine::find_field(std::string_view key) const {
  const std::string_view name = key.substr(0, key.find('.'));
  const auto found = std::ranges::find(fields_, name, &config::FieldRef::name);
  return found == fields_.end() ? nullptr : &*found;
}

bool CommandLine::is_switch(std::string_view key) const {
  const config::FieldRef* field = find_field(key);
  return (field != nullptr && std::holds_alternative<bool*>(field->value)) ||
         std::ranges::find(switches_, key) != switches_.end();
}

bool CommandLine::knows(const std::string& key) const {
  return key == "log" || find_field(key) != nullptr ||
         (takes_run_flags_ && key.find('.') != key.npos);
}

void CommandLine::take_flag(const std::string& key, const std::string& value) {
  if (key == "log") {
    log_ = parse_log_kind(value);
    return;
  }
  if (find_field(key) != nullptr) {
    config::set(flags_, key, value, "--" + key);
    return;
  }
  if (takes_run_flags_ && key.find('.') != key.npos) {
    run_flags_.push_back({key, value});
    return;
  }
  std::vector<std::string_view> names{"help", "log"};
  for (const config::FieldRef& field : fields_) {
    names.push_back(field.name);
  }
  const std::string near = nearest_name(key, names);
  throw Error(
      fmt::format("attune {} has no flag --{}.{}{}",
                  usage_.name,
                  key,
                  near.empty() ? "" : fmt::format(" Did you mean --{}?", near),
                  takes_run_flags_ ? " Options of the run file are --section.key=value" : ""));
}

void CommandLine::check_count() const {
  const size_t count = positionals_.size();
  check(count >= usage_.least,
        "attune {} needs {}. Try: attune {} --help",
        usage_.name,
        usage_.synopsis,
        usage_.name);
  check(count <= usage_.most,
        "attune {} takes {}; \"{}\" is too many",
        usage_.name,
        usage_.most == 0 ? "no argument" : usage_.synopsis,
        count > usage_.most ? positionals_[usage_.most] : "");
}

std::string CommandLine::help() const {
  std::string out = fmt::format("usage: attune {}{}{}\n\n{}",
                                usage_.name,
                                usage_.synopsis.empty() ? "" : " ",
                                usage_.synopsis,
                                config::wrap(usage_.about, /*indent=*/0, /*width=*/80));
  if (!usage_.examples.empty()) {
    out += "\nExamples\n";
    std::string_view rest = usage_.examples;
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      out += fmt::format("  {}\n", line);
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    }
  }
  out += "\nFlags\n";
  out += config::help(fields_, "--");
  if (takes_run_flags_) {
    out +=
        "  --section.key=value\n      overrides an option of the run file; all of them: attune "
        "config reference\n";
  }
  out += "  --log=text   (text | json | quiet)\n      how progress is written to stderr\n";
  return out;
}

}  // namespace attune::cli
