#include "bench/science/table.h"

#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "attune/core/error.h"

namespace attune::science {

std::string Estimate::text(int decimals) const {
  return std::isfinite(half) ? fmt::format("{:.{}f} ± {:.{}f}", mean, decimals, half, decimals)
                             : fmt::format("{:.{}f}", mean, decimals);
}

Estimate estimate(const std::vector<double>& values) {
  ensure(!values.empty(), "estimate: no values");
  // The 97.5 % quantiles of Student's t for 1, 2, ... degrees of freedom.
  constexpr std::array kQuantiles{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                  2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                                  2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064};
  const auto count = static_cast<double>(values.size());
  double mean = 0, square = 0;
  for (const double value : values) {
    mean += value / count;
  }
  for (const double value : values) {
    square += (value - mean) * (value - mean);
  }
  if (values.size() < 2) {
    return {mean, std::nan("")};
  }
  const size_t freedom = values.size() - 1;
  const double t = freedom <= kQuantiles.size() ? kQuantiles[freedom - 1] : 1.96;
  return {mean, t * std::sqrt(square / (count - 1) / count)};
}

Table::Table(std::string caption, std::vector<std::string> head)
    : caption_(std::move(caption)), rows_{std::move(head)} {}

void Table::add(std::vector<std::string> row) {
  ensure(row.size() == rows_[0].size(), "table: a row of {} in {}", row.size(), rows_[0].size());
  rows_.push_back(std::move(row));
}

std::string Table::markdown() const {
  std::string out = caption_ + "\n\n";
  for (size_t i = 0; i < rows_.size(); ++i) {
    out += "|";
    for (const std::string& cell : rows_[i]) {
      out += " " + cell + " |";
    }
    out += "\n";
    if (i == 0) {
      out += "|---|";
      for (size_t k = 1; k < rows_[0].size(); ++k) {
        out += "---:|";
      }
      out += "\n";
    }
  }
  return out + "\n";
}

}  // namespace attune::science
