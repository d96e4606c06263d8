// Means over seeds with their intervals, and Markdown tables of them.
#pragma once

#include <string>
#include <vector>

namespace attune::science {

/// A mean over seeds, and half the width of its 95 % interval by Student's t.
struct Estimate {
  double mean = 0;
  double half = 0;  ///< NaN with fewer than 2 values.
  /// "6.59 +- 0.31", or "6.59" without an interval.
  [[nodiscard]] std::string text(int decimals = 2) const;
};

/// @param values  One a seed; at least one.
Estimate estimate(const std::vector<double>& values);

/// A Markdown table with a caption. The first column is text, the others are set to the right.
class Table {
 public:
  Table(std::string caption, std::vector<std::string> head);
  void add(std::vector<std::string> row);
  [[nodiscard]] std::string markdown() const;

 private:
  std::string caption_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace attune::science
