// tokenizer.json's "normalizer": what happens to a text before it is split.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "attune/text/json_reader.h"

namespace attune::text {

/// A chain of rewritings of a text.
class Normalizer {
 public:
  /// One rewriting; texts are well-formed UTF-8.
  using Step = std::function<std::string(std::string_view)>;

  Normalizer() = default;
  explicit Normalizer(std::vector<Step> steps) : steps_(std::move(steps)) {}

  /// @throws Error naming a component that attune does not have.
  static Normalizer parse(const Json& component);

  bool empty() const {
    return steps_.empty();
  }
  std::string operator()(std::string_view text) const;

 private:
  std::vector<Step> steps_;
};

/// `text` with every `from` (not empty) replaced.
std::string replaced(std::string_view text, std::string_view from, std::string_view to);

}  // namespace attune::text
