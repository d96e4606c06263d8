#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attune/core/field.h"

namespace attune::adapter {

/// The linear layers that every family has, in the order of model::Projection.
inline constexpr std::array<std::string_view, 7> kLayers = {
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
/// What `targets` says in place of all their names.
inline constexpr std::string_view kAllLinear = "all-linear";

/// The `adapter` section: which parameters are trained.
struct AdapterOptions {
  std::string kind = "lora";  ///< lora, or none for full fine-tuning.
  int64_t rank = 8;           ///< Width of the low-rank update, 1 or more.
  double alpha = 32;          ///< The update is scaled by alpha / rank; above 0.
  double dropout = 0.05;      ///< Chance that an input of the update is dropped, in [0, 1).
  std::vector<std::string> targets = {"q_proj", "v_proj"};  ///< Names of the adapted layers.
  bool rslora = false;  ///< Scale by alpha / sqrt(rank) instead.
  std::string path;     ///< A PEFT adapter to start from; empty: a new one.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("kind",
          kind,
          {.help = "lora trains small added matrices; none trains every weight",
           .one_of = {"lora", "none"}});
    field("rank", rank, {.help = "width of the low-rank update", .at_least = 1, .at_most = 65536});
    field("alpha", alpha, {.help = "the update is scaled by alpha / rank", .above = 0});
    field("dropout",
          dropout,
          {.help = "chance that an input of the update is dropped while training",
           .at_least = 0,
           .below = 1});
    field("targets", targets, {.help = "names of the layers that get an update"});
    field("rslora", rslora, {.help = "scale by alpha / sqrt(rank) instead"});
    field("path", path, {.help = "PEFT adapter folder to start from; empty starts a new one"});
  }
};

}  // namespace attune::adapter
