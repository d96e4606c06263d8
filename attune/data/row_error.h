// A row that cannot be used: an error that a run may count and go past.
#pragma once

#include <string>
#include <string_view>

#include "attune/core/error.h"

namespace attune::data {

/// What is wrong with one row. The reader that threw it stands behind the row, and goes on.
class RowError : public Error {
 public:
  /// @param where   "file:line".
  /// @param reason  What is wrong, without the row's own values, so that rows can be counted by it.
  /// @param detail  What this row has, and what to do; follows the reason as it is.
  RowError(std::string_view where, std::string reason, std::string_view detail = {})
      : Error(fmt::format("{}: {}{}", where, reason, detail)),
        where_(where),
        reason_(std::move(reason)) {}

  [[nodiscard]] const std::string& where() const {
    return where_;
  }
  [[nodiscard]] const std::string& reason() const {
    return reason_;
  }

 private:
  std::string where_;
  std::string reason_;
};

}  // namespace attune::data
