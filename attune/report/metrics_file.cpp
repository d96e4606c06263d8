#include "attune/report/metrics_file.h"

#include <cmath>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/report/append.h"

namespace attune::report {
namespace {

template <class Row>
nlohmann::ordered_json metrics_json(const Row& row) {
  nlohmann::ordered_json line{{"step", row.step}};
  Row::each(row, [&](const char* key, const auto& value) { line[key] = value; });
  return line;  // nlohmann writes NaN and infinities as null
}

void take(const nlohmann::ordered_json& value, double& out) {
  out = value.is_null() ? kNotMeasured : value.get<double>();
}

void take(const nlohmann::ordered_json& value, int64_t& out) {
  check(value.is_null() || value.is_number_integer(), "a count is not a whole number");
  out = value.is_null() ? 0 : value.get<int64_t>();
}

template <class Row>
Row parse_row(const nlohmann::ordered_json& line) {
  Row row;
  take(line.at("step"), row.step);
  Row::each(row, [&](const char* key, auto& value) {
    if (const auto found = line.find(key); found != line.end()) {
      take(*found, value);
    }
  });
  return row;
}

/// Calls `visit(text, json)` for each whole line. A last line without its newline is torn.
template <class Visitor>
void each_whole_line(const std::filesystem::path& path, Visitor&& visit) {
  const std::string bytes = read_file(path);
  std::string_view rest = bytes;
  for (int64_t number = 1;; ++number) {
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) {
      return;
    }
    const std::string_view text = rest.substr(0, end + 1);
    rest.remove_prefix(end + 1);
    try {
      const auto line = nlohmann::ordered_json::parse(text);
      check(line.is_object(), "not an object");
      visit(text, line);
    } catch (const std::exception& e) {
      throw Error(fmt::format(
          "{}:{}: not a line of metrics ({}). Delete the line, or the file to start it anew.",
          path.string(),
          number,
          e.what()));
    }
  }
}

}  // namespace

MetricsFile::MetricsFile(std::filesystem::path path, int64_t keep_through_step)
    : path_(std::move(path)) {
  std::string kept;
  if (keep_through_step >= 0 && std::filesystem::exists(path_)) {
    each_whole_line(path_, [&](std::string_view text, const nlohmann::ordered_json& line) {
      int64_t step = 0;
      take(line.at("step"), step);
      if (step <= keep_through_step) {
        kept += text;
      }
    });
  }
  write_file(path_, kept);
  descriptor_ = open_to_append(path_);
}

MetricsFile::~MetricsFile() {
  ::close(descriptor_);
}

void MetricsFile::write(const StepRow& row) {
  auto line = metrics_json(row);
  for (const auto& [name, value] : row.terms) {
    line[kTermsPrefix + name] = value;
  }
  append_whole(descriptor_, path_, line.dump() + "\n");
}

void MetricsFile::write(const EvalRow& row) {
  append_whole(descriptor_, path_, metrics_json(row).dump() + "\n");
}

Metrics read_metrics(const std::filesystem::path& path) {
  Metrics metrics;
  each_whole_line(path, [&](std::string_view, const nlohmann::ordered_json& line) {
    if (line.contains("eval_loss")) {
      metrics.evals.push_back(parse_row<EvalRow>(line));
    } else {
      StepRow& row = metrics.steps.emplace_back(parse_row<StepRow>(line));
      for (const auto& [key, value] : line.items()) {
        if (key.starts_with(kTermsPrefix)) {
          take(value, row.terms[key.substr(std::string_view(kTermsPrefix).size())]);
        }
      }
    }
  });
  return metrics;
}

}  // namespace attune::report
