#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

namespace attune::nn {

/// body(x), without keeping what its backward pass needs: the body runs again there.
/// The body must be a pure function of x and of parameters, with the same result each time
/// (attune's dropout is: its masks depend on keys, not on a generator's state). Parameters get
/// their gradients added as usual. `x` must require a gradient, or nothing below would be reached.
///
/// Paper: Chen et al. 2016, arXiv:1604.06174.
at::Tensor recompute(const std::function<at::Tensor(const at::Tensor&)>& body, const at::Tensor& x);

}  // namespace attune::nn
