#include "attune/config/run_file.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "attune/config/foreign_names.h"
#include "attune/config/scalar.h"
#include "attune/core/error.h"
#include "attune/core/hint.h"

namespace attune::config {
namespace {

using Kind = Section::Kind;

bool has_field(const SectionRef& section, std::string_view name) {
  return std::ranges::find(section.fields, name, &FieldRef::name) != section.fields.end();
}

// " Did you mean \"optim.lr\"?" for an option that stands in another section than where it was
// looked for; "" if none has it.
std::string elsewhere(const std::vector<SectionRef>& sections, std::string_view name) {
  for (const SectionRef& section : sections) {
    if (has_field(section, name)) {
      return fmt::format(" Did you mean \"{}.{}\"?", section.name, name);
    }
  }
  return here_it_is(name);
}

const SectionRef& section_of(const std::vector<SectionRef>& sections,
                             const Section::Entry& entry,
                             const std::vector<std::string_view>& also) {
  const auto found = std::ranges::find(sections, entry.key, &SectionRef::name);
  if (found != sections.end()) {
    return *found;
  }
  std::vector<std::string_view> names(also);
  for (const SectionRef& section : sections) {
    names.push_back(section.name);
  }
  constexpr std::array<std::string_view, 7> kRow = {
      "prompt", "chosen", "rejected", "completion", "completions", "messages", "label"};
  check(std::ranges::find(kRow, entry.key) == kRow.end(),
        "{}: {} is a column of rows, and this should be a run file, which names the rows' file in "
        "data.train. A start: attune config example > run.yaml",
        entry.where,
        quoted_for_message(entry.key));
  const std::string other = elsewhere(sections, entry.key);
  throw Error(fmt::format("{}: no section {}.{}",
                          entry.where,
                          quoted_for_message(entry.key),
                          other.empty() ? did_you_mean(entry.key, names) : other));
}

TermSection read_term(const Section& item,
                      std::string_view name,
                      const std::vector<std::string_view>& kinds) {
  TermSection term{.kind = {}, .where = item.where, .options = item};
  if (item.kind == Kind::kScalar) {
    term.kind = item.text;
    term.options = {.kind = Kind::kMapping, .where = item.where};
  } else {
    std::optional<std::string> kind;
    const std::vector<FieldRef> fields{{"kind", &kind, {}},
                                       {"weight", &term.weight, {.help = {}, .above = 0}}};
    std::vector<std::string_view> others;
    for (const Section::Entry& entry : item.entries) {
      if (entry.key == "kind") {
        term.where = entry.where;
      } else if (entry.key != "weight") {
        others.push_back(entry.key);
      }
    }
    read_into(fields, item, name, others);
    check(kind.has_value(),
          "{}: this {} has no kind. Add kind: {}, or another of attune config {}s",
          term.where,
          name,
          kinds.front(),
          name);
    term.kind = *kind;
    std::erase_if(term.options.entries, [](const Section::Entry& entry) {
      return entry.key == "kind" || entry.key == "weight";
    });
  }
  const std::string hint = did_you_mean(term.kind, kinds);
  check(std::ranges::find(kinds, term.kind) != kinds.end(),
        "{}: no {} \"{}\".{}",
        term.where,
        name,
        term.kind,
        hint.empty() ? fmt::format(" All of them: attune config {}s", name) : hint);
  return term;
}

}  // namespace

void apply(Section& root, std::span<const Flag> flags) {
  for (const Flag& flag : flags) {
    set(root, flag.key, flag.value, "--" + flag.key);
  }
}

void read_sections(const std::vector<SectionRef>& sections,
                   const Section& root,
                   const std::vector<std::string_view>& also) {
  for (const Section::Entry& entry : root.entries) {
    if (std::ranges::find(also, entry.key) != also.end()) {
      continue;
    }
    const SectionRef& section = section_of(sections, entry, also);
    for (const Section::Entry& option : entry.value.entries) {
      if (!has_field(section, option.key)) {
        const std::string other = elsewhere(sections, option.key);
        check(
            other.empty(), "{}: no option {}.{}.{}", option.where, section.name, option.key, other);
      }
    }
    read_into(section.fields, entry.value, section.name);
  }
}

std::vector<TermSection> read_terms(const Section& section,
                                    std::string_view name,
                                    const std::vector<std::string_view>& kinds) {
  std::vector<TermSection> terms;
  if (section.kind == Kind::kList) {
    for (const Section& item : section.items) {
      terms.push_back(read_term(item, name, kinds));
    }
  } else if (section.kind != Kind::kNothing) {
    terms.push_back(read_term(section, name, kinds));
  }
  check(!terms.empty(),
        "{}: {} needs at least one entry. Write [{{kind: {}}}]",
        section.where,
        name,
        kinds.front());
  return terms;
}

}  // namespace attune::config
