#include "attune/config/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace attune::config {
namespace {

// A bar would end the cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') {
      out += '\\';
    }
    out += c;
  }
  return out;
}

}  // namespace

std::string bounds_text(const FieldRef& field) {
  const Field& about = field.about;
  if (!about.one_of.empty()) {
    return fmt::format("{}", fmt::join(about.one_of, " | "));
  }
  if (about.at_least && about.at_most) {
    return fmt::format("{} to {}", *about.at_least, *about.at_most);
  }
  std::vector<std::string> parts;
  if (about.above) {
    parts.push_back(fmt::format("> {}", *about.above));
  }
  if (about.at_least) {
    parts.push_back(fmt::format(">= {}", *about.at_least));
  }
  if (about.below) {
    parts.push_back(fmt::format("< {}", *about.below));
  }
  if (about.at_most) {
    parts.push_back(fmt::format("<= {}", *about.at_most));
  }
  return fmt::format("{}", fmt::join(parts, " and "));
}

std::string wrap(std::string_view text, size_t indent, size_t width) {
  std::string out;
  std::string line;
  const auto flush = [&] {
    if (!line.empty()) {
      out += std::string(indent, ' ') + line + "\n";
      line.clear();
    }
  };
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (!line.empty() && indent + line.size() + 1 + word.size() > width) {
      flush();
    }
    line += line.empty() ? "" : " ";
    line += word;
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  flush();
  return out;
}

std::string help(const std::vector<FieldRef>& fields, std::string_view prefix) {
  std::string out;
  for (const FieldRef& field : fields) {
    const std::string bounds = bounds_text(field);
    out += fmt::format("  {}{}={}", prefix, field.name, value_text(field.value));
    out += bounds.empty() ? "\n" : fmt::format("   ({})\n", bounds);
    out += wrap(field.about.help, /*indent=*/6, /*width=*/80);
  }
  return out;
}

std::string markdown(const std::vector<FieldRef>& fields) {
  std::string out = "| option | default | type | allowed | what it does |\n|---|---|---|---|---|\n";
  for (const FieldRef& field : fields) {
    const std::string bounds = bounds_text(field);
    out += fmt::format("| `{}` | `{}` | {} | {} | {}{} |\n",
                       field.name,
                       value_text(field.value),
                       type_text(field.value),
                       cell(bounds.empty() ? "any" : bounds),
                       cell(field.about.help),
                       field.about.may_change ? " *(a resumed run may change it)*" : "");
  }
  return out;
}

}  // namespace attune::config
