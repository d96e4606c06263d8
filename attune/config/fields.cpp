#include "attune/config/fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <type_traits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attune/config/foreign_names.h"
#include "attune/config/scalar.h"
#include "attune/core/error.h"
#include "attune/core/hint.h"

namespace attune::config {
namespace {

using Kind = Section::Kind;

template <class T>
struct OptionalOf : std::false_type {};
template <class T>
struct OptionalOf<std::optional<T>> : std::true_type {};

std::string join_path(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

std::string_view kind_text(const Section& value) {
  switch (value.kind) {
    case Kind::kList:
      return "a list";
    case Kind::kMapping:
      return "a mapping";
    case Kind::kScalar:
      return "a single value";
    case Kind::kNothing:
      return "nothing";
  }
  return "nothing";
}

// What a field's value is read from: its place for messages, and its full name.
struct Slot {
  const Section& value;
  std::string_view where;
  std::string_view path;
};

const std::string& scalar_text(const Slot& slot, std::string_view expected) {
  check(slot.value.kind == Kind::kScalar,
        "{}: {} must be {}, got {}",
        slot.where,
        slot.path,
        expected,
        kind_text(slot.value));
  return slot.value.text;
}

void read(const Slot& slot, bool& out) {
  const std::string& text = scalar_text(slot, "true or false");
  const std::optional<bool> value = parse_bool(text);
  check(value.has_value(),
        "{}: {} must be true or false, got {}",
        slot.where,
        slot.path,
        quoted_for_message(text));
  out = *value;
}

void read(const Slot& slot, int64_t& out) {
  const std::string& text = scalar_text(slot, "a whole number");
  const std::optional<int64_t> value = parse_whole(text);
  check(value.has_value(),
        "{}: {} must be a whole number, got {}",
        slot.where,
        slot.path,
        quoted_for_message(text));
  out = *value;
}

void read(const Slot& slot, double& out) {
  const std::string& text = scalar_text(slot, "a number");
  const std::optional<double> value = parse_number(text);
  check(value.has_value(),
        "{}: {} must be a number, got {}",
        slot.where,
        slot.path,
        quoted_for_message(text));
  out = *value;
}

void read(const Slot& slot, std::string& out) {
  out = scalar_text(slot, "a text");
}

// An item of a bracketed list, without the spaces and quotes around it.
std::string_view bare(std::string_view item) {
  const size_t first = item.find_first_not_of(' ');
  item = first == item.npos ? std::string_view()
                            : item.substr(first, item.find_last_not_of(' ') - first + 1);
  const bool quoted = item.size() >= 2 && item.front() == item.back() &&
                      (item.front() == '"' || item.front() == '\'');
  return quoted ? item.substr(1, item.size() - 2) : item;
}

void read(const Slot& slot, std::vector<std::string>& out) {
  out.clear();
  if (slot.value.from_flag && slot.value.kind == Kind::kScalar) {
    std::string_view rest = slot.value.text;
    const bool brackets = rest.size() >= 2 && rest.front() == '[' && rest.back() == ']';
    if (brackets) {
      rest = rest.substr(1, rest.size() - 2);
    }
    while (!rest.empty()) {
      const std::string_view item = rest.substr(0, rest.find(','));
      out.emplace_back(brackets ? bare(item) : item);
      rest = item.size() == rest.size() ? std::string_view() : rest.substr(item.size() + 1);
    }
    return;
  }
  if (slot.value.kind == Kind::kScalar) {
    out.push_back(slot.value.text);  // one text is a list of one
    return;
  }
  check(slot.value.kind == Kind::kList,
        "{}: {} must be a list of texts, got {}. Write [first, second]",
        slot.where,
        slot.path,
        kind_text(slot.value));
  for (const Section& item : slot.value.items) {
    check(item.kind == Kind::kScalar,
          "{}: {} must be a list of texts, got {} in it",
          item.where,
          slot.path,
          kind_text(item));
    out.push_back(item.text);
  }
}

void read(const Slot& slot, std::map<std::string, std::string>& out) {
  out.clear();
  check(slot.value.kind == Kind::kMapping,
        "{}: {} must be a mapping, got {}. Write {{name: text}}",
        slot.where,
        slot.path,
        kind_text(slot.value));
  for (const Section::Entry& entry : slot.value.entries) {
    const std::string path = join_path(slot.path, entry.key);
    std::string text;
    read({entry.value, entry.where, path}, text);
    out.emplace(entry.key, std::move(text));
  }
}

template <class T>
void read(const Slot& slot, std::optional<T>& out) {
  constexpr bool kNumber = std::is_arithmetic_v<T>;
  if (slot.value.kind == Kind::kNothing ||
      (kNumber && slot.value.kind == Kind::kScalar && slot.value.text == "auto")) {
    out.reset();
    return;
  }
  T value{};
  read(slot, value);
  out = std::move(value);
}

void check_bounds(const Field& about, double value, std::string_view shown, std::string_view path) {
  const auto fail = [&](std::string_view sign, double bound) {
    throw Error(fmt::format("{} must be {} {}, got {}", path, sign, bound, shown));
  };
  if (about.above && !(value > *about.above)) {
    fail(">", *about.above);
  }
  if (about.at_least && !(value >= *about.at_least)) {
    fail(">=", *about.at_least);
  }
  if (about.below && !(value < *about.below)) {
    fail("<", *about.below);
  }
  if (about.at_most && !(value <= *about.at_most)) {
    fail("<=", *about.at_most);
  }
}

void check_choice(const Field& about, const std::string& value, std::string_view path) {
  if (about.one_of.empty() || std::ranges::find(about.one_of, value) != about.one_of.end()) {
    return;
  }
  throw Error(fmt::format("{} must be one of {}, got {}.{}",
                          path,
                          fmt::join(about.one_of, ", "),
                          quoted_for_message(value),
                          did_you_mean(value, about.one_of)));
}

// Bounds and choices of one field. @throws Error without a place.
void check_value(const FieldRef& field, std::string_view path) {
  const auto check_one = [&](const auto& value) {
    using T = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::is_same_v<T, double>) {
      check(std::isfinite(value), "{} must be a finite number, got {}", path, value);
      check_bounds(field.about, value, fmt::format("{}", value), path);
    } else if constexpr (std::is_same_v<T, int64_t>) {
      check_bounds(field.about, static_cast<double>(value), fmt::format("{}", value), path);
    } else if constexpr (std::is_same_v<T, std::string>) {
      check_choice(field.about, value, path);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      for (const std::string& item : value) {
        check_choice(field.about, item, path);
      }
    }
  };
  std::visit(
      [&](const auto* value) {
        if constexpr (OptionalOf<std::remove_cvref_t<decltype(*value)>>::value) {
          if (value->has_value()) {
            check_one(**value);
          }
        } else {
          check_one(*value);
        }
      },
      field.value);
}

void read_entry(const FieldRef& field, const Section::Entry& entry, const std::string& path) {
  const bool may_be_empty = std::visit(
      [](const auto* value) { return OptionalOf<std::remove_cvref_t<decltype(*value)>>::value; },
      field.value);
  check(may_be_empty || entry.value.kind != Kind::kNothing,
        "{}: {} has no value; without the line it is {}",
        entry.where,
        path,
        value_text(field.value));
  std::visit([&](auto* out) { read({entry.value, entry.where, path}, *out); }, field.value);
  try {
    check_value(field, path);
  } catch (const Error& e) {
    throw Error(fmt::format("{}: {}", entry.where, e.what()));
  }
}

}  // namespace

void read_into(const std::vector<FieldRef>& fields,
               const Section& section,
               std::string_view path,
               const std::vector<std::string_view>& also) {
  if (section.kind == Kind::kNothing) {
    return;  // "train:" with every line below it commented out
  }
  check(section.kind == Kind::kMapping,
        "{}: {} must hold `name: value` lines, got {}",
        section.where,
        path,
        kind_text(section));
  for (const Section::Entry& entry : section.entries) {
    if (std::ranges::find(also, entry.key) != also.end()) {
      continue;
    }
    const auto field = std::ranges::find(fields, entry.key, &FieldRef::name);
    if (field == fields.end()) {
      std::vector<std::string_view> names(also);
      for (const FieldRef& known : fields) {
        names.push_back(known.name);
      }
      throw Error(fmt::format("{}: no option {}.{}",
                              entry.where,
                              join_path(path, entry.key),
                              option_hint(entry.key, path, names)));
    }
    read_entry(*field, entry, join_path(path, field->name));
  }
}

void check_values(const std::vector<FieldRef>& fields, std::string_view path) {
  for (const FieldRef& field : fields) {
    check_value(field, join_path(path, field.name));
  }
}

std::string value_text(const Member& member) {
  struct Writer {
    std::string operator()(bool value) const {
      return value ? "true" : "false";
    }
    std::string operator()(int64_t value) const {
      return fmt::format("{}", value);
    }
    std::string operator()(double value) const {
      return fmt::format("{}", value);
    }
    std::string operator()(const std::string& value) const {
      return yaml_text(value);
    }
    std::string operator()(const std::vector<std::string>& value) const {
      std::vector<std::string> items;
      std::ranges::transform(value, std::back_inserter(items), yaml_text);
      return fmt::format("[{}]", fmt::join(items, ", "));
    }
    std::string operator()(const std::map<std::string, std::string>& value) const {
      std::vector<std::string> items;
      for (const auto& [key, text] : value) {
        items.push_back(fmt::format("{}: {}", yaml_text(key), yaml_text(text)));
      }
      return fmt::format("{{{}}}", fmt::join(items, ", "));
    }
    std::string operator()(const std::optional<std::string>& value) const {
      return value ? (*this)(*value) : "null";
    }
    std::string operator()(const std::optional<bool>& value) const {
      return value ? (*this)(*value) : "auto";
    }
    std::string operator()(const std::optional<int64_t>& value) const {
      return value ? (*this)(*value) : "auto";
    }
    std::string operator()(const std::optional<double>& value) const {
      return value ? (*this)(*value) : "auto";
    }
  };
  return std::visit([](const auto* value) { return Writer{}(*value); }, member);
}

std::string_view type_text(const Member& member) {
  struct Namer {
    std::string_view operator()(const bool*) const {
      return "true or false";
    }
    std::string_view operator()(const int64_t*) const {
      return "whole number";
    }
    std::string_view operator()(const double*) const {
      return "number";
    }
    std::string_view operator()(const std::string*) const {
      return "text";
    }
    std::string_view operator()(const std::vector<std::string>*) const {
      return "list of texts";
    }
    std::string_view operator()(const std::map<std::string, std::string>*) const {
      return "mapping of texts";
    }
    std::string_view operator()(const std::optional<bool>*) const {
      return "true, false or auto";
    }
    std::string_view operator()(const std::optional<int64_t>*) const {
      return "whole number or auto";
    }
    std::string_view operator()(const std::optional<double>*) const {
      return "number or auto";
    }
    std::string_view operator()(const std::optional<std::string>*) const {
      return "text";
    }
  };
  return std::visit([](const auto* value) { return Namer{}(value); }, member);
}

}  // namespace attune::config
