#include "attune/optim/adamw.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros_like.h>

#include "attune/core/clones.h"
#include "attune/core/error.h"
#include "attune/tensor/parallel.h"

namespace attune::optim {
namespace {

ATTUNE_CLONES double squares_of_piece(const float* x, int64_t count) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) {
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  return sum;
}

// LibTorch's norm in f64 of f32 numbers makes a copy of them in f64 first. The pieces are fixed, so
// the number of threads does not change the sum.
double sum_of_squares(const float* x, int64_t count) {
  constexpr int64_t kPiece = int64_t{1} << 16;
  const int64_t pieces = (count + kPiece - 1) / kPiece;
  std::vector<double> sums(static_cast<size_t>(pieces));
  tensor::share_out(pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      sums[static_cast<size_t>(i)] =
          squares_of_piece(x + i * kPiece, std::min(kPiece, count - i * kPiece));
    }
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace

AdamW::AdamW(std::vector<at::Tensor> parameters, const OptimOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const at::Tensor& parameter : parameters_) {
    ensure(parameter.is_leaf() && parameter.requires_grad(), "AdamW: a parameter is not trained");
    means_.push_back(at::zeros_like(parameter).detach());
    squares_.push_back(at::zeros_like(parameter).detach());
  }
}

void AdamW::step(double lr) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> weights;
  std::vector<at::Tensor> grads;
  std::vector<at::Tensor> means;
  std::vector<at::Tensor> squares;
  std::vector<at::Tensor> counts;
  ++updates_;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!parameters_[i].grad().defined()) {
      continue;
    }
    weights.push_back(parameters_[i]);
    grads.push_back(parameters_[i].grad());
    means.push_back(means_[i]);
    squares.push_back(squares_[i]);
    // The kernel takes the number of this update, one tensor a parameter.
    counts.push_back(
        at::full({}, static_cast<double>(updates_), parameters_[i].options().dtype(at::kFloat)));
  }
  if (weights.empty()) {
    return;
  }
  at::_fused_adamw_(weights,
                    grads,
                    means,
                    squares,
                    /*max_exp_avg_sqs=*/{},
                    counts,
                    lr,
                    options_.beta1,
                    options_.beta2,
                    options_.weight_decay,
                    options_.eps,
                    /*amsgrad=*/false,
                    /*maximize=*/false);
}

void AdamW::zero_grad() {
  for (at::Tensor& parameter : parameters_) {
    parameter.mutable_grad().reset();
  }
}

void AdamW::restore(const std::vector<at::Tensor>& means,
                    const std::vector<at::Tensor>& squares,
                    int64_t updates) {
  ensure(means.size() == means_.size() && squares.size() == squares_.size(),
         "AdamW: {} moments for {} parameters",
         means.size(),
         means_.size());
  for (size_t i = 0; i < means_.size(); ++i) {
    check(means[i].sizes() == means_[i].sizes() && squares[i].sizes() == squares_[i].sizes(),
          "the optimizer's state is of another model: moment {} differs in shape",
          i);
    means_[i].copy_(means[i]);
    squares_[i].copy_(squares[i]);
  }
  updates_ = updates;
}

double grad_norm(const std::vector<at::Tensor>& parameters) {
  double squares = 0;
  for (const at::Tensor& parameter : parameters) {
    if (!parameter.grad().defined()) {
      continue;
    }
    const at::Tensor& grad = parameter.grad();
    if (grad.is_cpu() && grad.is_contiguous() && grad.scalar_type() == at::kFloat) {
      squares += sum_of_squares(grad.const_data_ptr<float>(), grad.numel());
    } else {
      const double norm =
          at::linalg_vector_norm(grad, 2, std::nullopt, false, at::kDouble).item<double>();
      squares += norm * norm;
    }
  }
  return std::sqrt(squares);
}

void clip_gradients(const std::vector<at::Tensor>& parameters, double norm, double max_norm) {
  const double scale = max_norm / (norm + 1e-6);
  if (max_norm == 0 || scale >= 1) {
    return;
  }
  for (const at::Tensor& parameter : parameters) {
    if (parameter.grad().defined()) {
      parameter.grad().mul_(scale);
    }
  }
}

}  // namespace attune::optim
