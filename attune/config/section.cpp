#include "attune/config/section.h"

#include <algorithm>
#include <charconv>
#include <istream>
#include <map>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/core/hint.h"

namespace attune::config {
namespace {

constexpr size_t kMaxBytes = 16 << 20;
constexpr size_t kMaxValues = 1'000'000;  // counts what aliases repeat: a small file cannot blow up

using Kind = Section::Kind;

size_t count_values(const Section& value) {
  size_t count = 1;
  for (const Section& item : value.items) {
    count += count_values(item);
  }
  for (const Section::Entry& entry : value.entries) {
    count += count_values(entry.value);
  }
  return count;
}

// Whether the quoted text that opens at `pos` ends before `text` does: yaml-cpp takes the end of
// the file for a quote. True if no quote stands there (a tag, a block).
bool quote_closes(std::string_view text, size_t pos) {
  if (pos >= text.size() || (text[pos] != '"' && text[pos] != '\'')) {
    return true;
  }
  const char quote = text[pos];
  for (size_t i = pos + 1; i < text.size(); ++i) {
    if (text[i] == '\\' && quote == '"') {
      ++i;
    } else if (text[i] == quote) {
      return true;
    }
  }
  return false;
}

// What to say to who gives the data in the run file's place.
std::string_view rows_hint(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != text.npos && text[first] == '{'
             ? ". If these are rows of data: a run file names them in data.train"
             : "";
}

// Builds the tree from yaml-cpp's events, which, unlike its nodes, show equal keys and keep texts.
class Builder : public YAML::EventHandler {
 public:
  Builder(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  Section take() {
    return std::move(root_);
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add({.kind = Kind::kNothing, .where = where(mark)}, anchor);
  }

  void OnScalar(const YAML::Mark& mark,
                const std::string& /*tag*/,
                YAML::anchor_t anchor,
                const std::string& value) override {
    check(mark.pos < 0 || quote_closes(text_, static_cast<size_t>(mark.pos)),
          "{}: invalid YAML: the quote that opens here is never closed",
          where(mark));
    if (!open_.empty() && open_.back().value.kind == Kind::kMapping && !open_.back().has_key) {
      take_key(mark, value);
      return;
    }
    add({.kind = Kind::kScalar, .where = where(mark), .text = value}, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    check(found != anchors_.end(), "{}: the alias stands inside what it names", where(mark));
    count_ += count_values(found->second);
    check(count_ <= kMaxValues, "{}: aliases repeat over {} values", where(mark), kMaxValues);
    add(found->second, /*anchor=*/0);
  }

  void OnSequenceStart(const YAML::Mark& mark,
                       const std::string& /*tag*/,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    start(Kind::kList, mark, anchor);
  }
  void OnSequenceEnd() override {
    finish();
  }
  void OnMapStart(const YAML::Mark& mark,
                  const std::string& /*tag*/,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    start(Kind::kMapping, mark, anchor);
  }
  void OnMapEnd() override {
    finish();
  }

 private:
  struct Open {
    Section value;
    YAML::anchor_t anchor = 0;
    bool has_key = false;
    std::string key = {};
    std::string key_where = {};
    std::string path = {};
  };

  std::string where(const YAML::Mark& mark) const {
    return fmt::format("{}:{}:{}", name_, mark.line + 1, mark.column + 1);
  }

  void take_key(const YAML::Mark& mark, const std::string& key) {
    Open& map = open_.back();
    const std::string path = map.path.empty() ? key : map.path + "." + key;
    check(map.value.find(key) == nullptr, "{}: {} is written twice", where(mark), path);
    map.has_key = true;
    map.key = key;
    map.key_where = where(mark);
  }

  void require_text_key(const std::string& place) const {
    check(open_.empty() || open_.back().value.kind != Kind::kMapping || open_.back().has_key,
          "{}: a key must be a text",
          place);
  }

  void start(Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    require_text_key(where(mark));
    Open next{.value = {.kind = kind, .where = where(mark)}, .anchor = anchor};
    if (!open_.empty()) {
      const Open& parent = open_.back();
      next.path = parent.path.empty() || parent.key.empty() ? parent.path + parent.key
                                                            : parent.path + "." + parent.key;
    }
    open_.push_back(std::move(next));
  }

  void finish() {
    Open done = std::move(open_.back());
    open_.pop_back();
    add(std::move(done.value), done.anchor);
  }

  void add(Section value, YAML::anchor_t anchor) {
    require_text_key(value.where);
    check(++count_ <= kMaxValues, "{}: over {} values in one file", value.where, kMaxValues);
    if (anchor != 0) {
      anchors_[anchor] = value;
      count_ += count_values(value);
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    Open& parent = open_.back();
    if (parent.value.kind == Kind::kList) {
      parent.value.items.push_back(std::move(value));
      return;
    }
    parent.value.entries.push_back(
        {std::move(parent.key), std::move(parent.key_where), std::move(value)});
    parent.has_key = false;
  }

  std::string_view text_;
  std::string_view name_;
  Section root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Section> anchors_;
  size_t count_ = 0;
};

// The item of a list that one part of a dotted key leads to. `part` is taken if it is a number.
Section& list_item(Section& list, std::string_view& rest, std::string_view where) {
  const std::string_view part = rest.substr(0, rest.find('.'));
  size_t index = 0;
  const auto [end, failed] = std::from_chars(part.data(), part.data() + part.size(), index);
  if (failed == std::errc() && end == part.data() + part.size()) {
    check(index < list.items.size(),
          "{}: the list has {} item(s), counted from 0",
          where,
          list.items.size());
    rest = part.size() == rest.size() ? std::string_view() : rest.substr(part.size() + 1);
    return list.items[index];
  }
  check(list.items.size() == 1,
        "{}: the list has {} items; put the number of one into the key, counted from 0",
        where,
        list.items.size());
  return list.items[0];
}

}  // namespace

const Section* Section::find(std::string_view key) const {
  const auto found = std::ranges::find(entries, key, &Entry::key);
  return found == entries.end() ? nullptr : &found->value;
}

Section* Section::find(std::string_view key) {
  const auto found = std::ranges::find(entries, key, &Entry::key);
  return found == entries.end() ? nullptr : &found->value;
}

Section parse_run_file(std::string_view text, std::string_view name) {
  check(text.size() <= kMaxBytes, "{}: {} bytes are too many for a run file", name, text.size());
  const size_t nul = text.find('\0');
  check(nul == text.npos, "{}: byte {} is NUL; a run file is a text", name, nul);
  std::istringstream stream{std::string(text)};
  Builder builder(text, name);
  Section root;
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    root = builder.take();
    Builder second(text, name);
    const bool more = parser.HandleNextDocument(second);
    check(!more, "{}: a second document begins; a run file is one{}", name, rows_hint(text));
  } catch (const YAML::Exception& e) {
    throw Error(fmt::format("{}:{}:{}: invalid YAML: {}{}",
                            name,
                            e.mark.line + 1,
                            e.mark.column + 1,
                            e.msg,
                            rows_hint(text)));
  }
  if (root.kind == Kind::kNothing) {
    return {.kind = Kind::kMapping, .where = std::string(name)};
  }
  check(root.kind == Kind::kMapping,
        "{}: expected `section:` lines at the top, got a {}",
        root.where,
        root.kind == Kind::kList ? "list" : "single text");
  return root;
}

Section load(const std::filesystem::path& path) {
  return parse_run_file(read_file(path), path.string());
}

void set(Section& root, std::string_view key, std::string_view value, std::string_view where) {
  Section* at = &root;
  std::string_view rest = key;
  while (true) {
    while (at->kind == Kind::kList && !rest.empty()) {
      at = &list_item(*at, rest, where);
    }
    if (rest.empty()) {
      break;
    }
    if (at->kind == Kind::kNothing) {
      *at = {.kind = Kind::kMapping, .where = std::string(where), .from_flag = true};
    }
    check(at->kind == Kind::kMapping, "{}: {} holds a single value", where, at->where);
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    check(!part.empty(), "{}: the key has an empty part", where);
    Section* next = at->find(part);
    if (next == nullptr) {
      at->entries.push_back({std::string(part), std::string(where), {}});
      next = &at->entries.back().value;
    }
    rest = dot == rest.npos ? std::string_view() : rest.substr(dot + 1);
    if (rest.empty()) {
      // The place of the entry is the flag's now, whoever wrote it first.
      std::ranges::find(at->entries, part, &Section::Entry::key)->where = where;
    }
    at = next;
  }
  *at = {.kind = Kind::kScalar,
         .where = std::string(where),
         .text = std::string(value),
         .from_flag = true};
}

}  // namespace attune::config
