#include "attune/data/cache_report.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "attune/core/error.h"

namespace attune::data {

using nlohmann::json;

void count_drop(BuildReport& report, std::string_view reason, std::string_view where) {
  constexpr size_t kMaxExamples = 5;
  auto found = std::find_if(report.dropped.begin(),
                            report.dropped.end(),
                            [reason](const DropCount& drop) { return drop.reason == reason; });
  if (found == report.dropped.end()) {
    report.dropped.push_back({std::string(reason), 0, {}});
    found = report.dropped.end() - 1;
  }
  ++found->rows;
  if (found->examples.size() < kMaxExamples) {
    found->examples.emplace_back(where);
  }
}

std::string report_text(const BuildReport& report) {
  json dropped = json::array();
  for (const DropCount& drop : report.dropped) {
    dropped.push_back({{"reason", drop.reason}, {"rows", drop.rows}, {"examples", drop.examples}});
  }
  const json text = {{"rows", report.rows},
                     {"groups", report.groups},
                     {"comparisons", report.comparisons},
                     {"tokens", report.tokens},
                     {"truncated", report.truncated},
                     {"dropped", dropped}};
  // File names may be any bytes; JSON is UTF-8.
  return text.dump(-1, ' ', false, json::error_handler_t::replace);
}

BuildReport read_report(std::string_view text, const std::filesystem::path& path) try {
  const json parsed = json::parse(text);
  BuildReport report;
  report.rows = parsed.at("rows").get<int64_t>();
  report.groups = parsed.at("groups").get<int64_t>();
  report.comparisons = parsed.at("comparisons").get<int64_t>();
  report.tokens = parsed.at("tokens").get<int64_t>();
  report.truncated = parsed.at("truncated").get<int64_t>();
  for (const json& drop : parsed.at("dropped")) {
    report.dropped.push_back({drop.at("reason").get<std::string>(),
                              drop.at("rows").get<int64_t>(),
                              drop.at("examples").get<std::vector<std::string>>()});
  }
  return report;
} catch (const json::exception&) {
  throw Error(fmt::format("{}: the cache's report is damaged", path.string()));
}

}  // namespace attune::data
