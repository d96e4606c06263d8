#pragma once

#include <string>

#include "attune/core/field.h"

namespace attune::optim {

/// The `optim` section: how a gradient becomes a step.
struct OptimOptions {
  std::string kind = "adamw";       ///< adamw.
  double lr = 5e-5;                 ///< Highest learning rate, above 0.
  double beta1 = 0.9;               ///< Decay of the mean gradient, in [0, 1).
  double beta2 = 0.999;             ///< Decay of the mean squared gradient, in [0, 1).
  double eps = 1e-8;                ///< Added to the root of the squared gradient, above 0.
  double weight_decay = 0;          ///< Decoupled decay per unit of learning rate, 0 or more.
  std::string schedule = "linear";  ///< linear, cosine or constant, after the warm-up.
  double warmup_ratio = 0.1;        ///< Share of all steps in which lr rises from 0, in [0, 1).
  double max_grad_norm = 1;         ///< Longer gradients are scaled to this length; 0: never.

  template <class Visitor>
  void fields(Visitor&& field) {
    field("kind", kind, {.help = "the optimizer", .one_of = {"adamw"}});
    field("lr",
          lr,
          {.help = "highest learning rate; 5e-5 suits LoRA, full fine-tuning wants about 1e-6",
           .above = 0});
    field("beta1", beta1, {.help = "decay of the mean gradient", .at_least = 0, .below = 1});
    field(
        "beta2", beta2, {.help = "decay of the mean squared gradient", .at_least = 0, .below = 1});
    field("eps", eps, {.help = "added to the root of the mean squared gradient", .above = 0});
    field("weight_decay",
          weight_decay,
          {.help = "decoupled weight decay, times the learning rate", .at_least = 0});
    field("schedule",
          schedule,
          {.help = "how the learning rate falls after the warm-up",
           .one_of = {"linear", "cosine", "constant"}});
    field("warmup_ratio",
          warmup_ratio,
          {.help = "share of all steps in which the learning rate rises from 0",
           .at_least = 0,
           .below = 1});
    field("max_grad_norm",
          max_grad_norm,
          {.help = "longer gradients are scaled down to this norm; 0 is off", .at_least = 0});
  }
};

}  // namespace attune::optim
