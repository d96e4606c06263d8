#include "attune/io/json.h"

#include <unordered_set>
#include <vector>

#include "attune/core/error.h"
#include "attune/core/file.h"

namespace attune::io {

nlohmann::json parse_json(std::string_view text, const std::filesystem::path& where) {
  constexpr int kMaxDepth = 128;
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::unordered_set<std::string>> keys;  // of each object that is open
  const auto watch = [&](int depth, Event event, const nlohmann::json& parsed) {
    if (event == Event::object_start || event == Event::array_start) {
      check(depth < kMaxDepth,
            "{}: expected JSON of at most {} levels, got deeper nesting",
            where.string(),
            kMaxDepth);
    }
    if (event == Event::object_start) {
      keys.emplace_back();
    } else if (event == Event::object_end) {
      keys.pop_back();
    } else if (event == Event::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      check(keys.back().insert(key).second,
            "{}: the key \"{}\" stands twice in one object",
            where.string(),
            key);
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text.begin(), text.end(), watch);
  } catch (const nlohmann::json::exception& e) {
    throw Error(fmt::format("{}: expected JSON; {}", where.string(), json_reason(e)));
  }
}

nlohmann::json read_json(const std::filesystem::path& path) {
  return parse_json(read_file(path), path);
}

std::string json_reason(const nlohmann::json::exception& error) {
  constexpr size_t kMaxBytes = 200;
  std::string_view text = error.what();
  if (const size_t tag = text.find("] "); text.starts_with('[') && tag != std::string_view::npos) {
    text.remove_prefix(tag + 2);
  }
  return text.size() <= kMaxBytes ? std::string(text)
                                  : fmt::format("{}...", text.substr(0, kMaxBytes));
}

std::string_view json_type(const nlohmann::json& value) {
  switch (value.type()) {
    case nlohmann::json::value_t::null:
      return "null";
    case nlohmann::json::value_t::object:
      return "an object";
    case nlohmann::json::value_t::array:
      return "an array";
    case nlohmann::json::value_t::string:
      return "a text";
    case nlohmann::json::value_t::boolean:
      return "a boolean";
    default:
      return "a number";
  }
}

}  // namespace attune::io
