#pragma once

#include <cstdint>

#include "attune/core/field.h"

namespace attune::generate {

/// How text is sampled from a model.
struct GenerateOptions {
  int64_t max_new_tokens = 128;  ///< Stop after this many tokens, 1 or more.
  double temperature = 0.7;      ///< Divides the logits; 0 takes the likeliest token each time.
  int64_t top_k = 0;             ///< Sample among the k likeliest tokens; 0: among all.
  double top_p = 1;              ///< Sample among the likeliest tokens of this total probability.
  int64_t seed = 42;             ///< Same seed, same text.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("max_new_tokens",
          max_new_tokens,
          {.help = "stop after this many new tokens", .at_least = 1});
    field("temperature",
          temperature,
          {.help = "0 takes the likeliest token each time; higher is more varied",
           .at_least = 0,
           .at_most = 100});
    field("top_k",
          top_k,
          {.help = "sample among the k likeliest tokens; 0 is among all", .at_least = 0});
    field("top_p",
          top_p,
          {.help = "sample among the likeliest tokens that hold this share of the probability",
           .above = 0,
           .at_most = 1});
    field("seed", seed, {.help = "the same seed gives the same text", .at_least = 0});
  }
};

}  // namespace attune::generate
