#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "attune/optim/options.h"

namespace attune::optim {

/// Adam with decoupled weight decay, one fused pass over all parameters (LibTorch's kernel).
///
///   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
///   w = (1 - lr decay) w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
///
/// Paper: Loshchilov & Hutter 2017, arXiv:1711.05101, algorithm 2.
class AdamW {
 public:
  /// @param parameters  Leaves that carry gradients; kept by reference and changed in place.
  AdamW(std::vector<at::Tensor> parameters, const OptimOptions& options);

  /// One update from the parameters' gradients; one without a gradient stays as it is.
  void step(double lr);
  /// Forgets the gradients.
  void zero_grad();

  /// The moments, in the order of the parameters, and the number of updates so far.
  [[nodiscard]] const std::vector<at::Tensor>& means() const {
    return means_;
  }
  [[nodiscard]] const std::vector<at::Tensor>& squares() const {
    return squares_;
  }
  [[nodiscard]] int64_t updates() const {
    return updates_;
  }
  /// Continues from saved moments. @throws Error if a shape differs.
  void restore(const std::vector<at::Tensor>& means,
               const std::vector<at::Tensor>& squares,
               int64_t updates);

  [[nodiscard]] const std::vector<at::Tensor>& parameters() const {
    return parameters_;
  }

 private:
  std::vector<at::Tensor> parameters_;
  std::vector<at::Tensor> means_;
  std::vector<at::Tensor> squares_;
  OptimOptions options_;
  int64_t updates_ = 0;
};

/// The 2-norm of all gradients together, f64.
double grad_norm(const std::vector<at::Tensor>& parameters);

/// Scales the gradients so that their norm is at most `max_norm`, as torch's clip_grad_norm_:
/// by max_norm / (norm + 1e-6) if that is below 1. `max_norm` 0: never.
void clip_gradients(const std::vector<at::Tensor>& parameters, double norm, double max_norm);

}  // namespace attune::optim
