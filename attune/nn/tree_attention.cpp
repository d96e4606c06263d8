#include "attune/nn/tree_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attune/core/error.h"
#include "attune/nn/kernels.h"
#include "attune/tensor/blas.h"

namespace attune::nn {
namespace {

using tensor::Segment;
using tensor::Side;
using tensor::Tree;

constexpr int64_t kQueryRows = 64;

// All segments under one root: their keys and values are shared, so one task owns them per head.
struct Family {
  std::vector<int64_t> segments;
  int64_t cost = 0;  // query-key products
};

std::vector<Family> families(const Tree& tree) {
  std::vector<Family> result;
  std::vector<int64_t> family_of(tree.segments.size());
  std::vector<int64_t> context(tree.segments.size());
  for (size_t s = 0; s < tree.segments.size(); ++s) {
    const Segment& segment = tree.segments[s];
    const int64_t length = segment.end - segment.begin;
    if (segment.parent < 0) {
      family_of[s] = static_cast<int64_t>(result.size());
      result.emplace_back();
      context[s] = length;
    } else {
      const auto parent = static_cast<size_t>(segment.parent);
      family_of[s] = family_of[parent];
      context[s] = context[parent] + length;
    }
    Family& family = result[static_cast<size_t>(family_of[s])];
    family.segments.push_back(static_cast<int64_t>(s));
    family.cost += length * context[s];
  }
  return result;
}

struct Task {
  int64_t family = 0;
  int64_t kv_head = 0;
  int64_t cost = 0;
};

// Longest first, each to the lightest thread.
std::vector<std::vector<Task>> share_out(const std::vector<Family>& all,
                                         int64_t G,
                                         int64_t threads) {
  std::vector<Task> tasks;
  for (size_t f = 0; f < all.size(); ++f) {
    for (int64_t g = 0; g < G; ++g) {
      tasks.push_back({static_cast<int64_t>(f), g, all[f].cost});
    }
  }
  std::stable_sort(
      tasks.begin(), tasks.end(), [](const Task& a, const Task& b) { return a.cost > b.cost; });
  std::vector<std::vector<Task>> shares(static_cast<size_t>(threads));
  std::vector<int64_t> load(static_cast<size_t>(threads));
  for (const Task& task : tasks) {
    const auto lightest = std::min_element(load.begin(), load.end()) - load.begin();
    shares[static_cast<size_t>(lightest)].push_back(task);
    load[static_cast<size_t>(lightest)] += task.cost;
  }
  return shares;
}

template <class T>
struct Sizes {
  int64_t H, G, E;
  T scale;
};

// Rows [begin, end) of keys that a block of queries sees, and where their scores start.
struct KeyBlock {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t column = 0;
};

// Calls body(row_begin, row_end, key_blocks, width) for each block of queries of a segment.
template <class Body>
void each_query_block(const Tree& tree, int64_t s, Body&& body) {
  const Segment& segment = tree.segments[static_cast<size_t>(s)];
  std::vector<KeyBlock> keys;
  int64_t column = 0;
  for (const int64_t a : tree.ancestors(s)) {
    const Segment& ancestor = tree.segments[static_cast<size_t>(a)];
    keys.push_back({ancestor.begin, ancestor.end, column});
    column += ancestor.end - ancestor.begin;
  }
  keys.push_back({segment.begin, segment.begin, column});
  for (int64_t row = segment.begin; row < segment.end; row += kQueryRows) {
    const int64_t row_end = std::min(segment.end, row + kQueryRows);
    keys.back().end = row_end;
    body(row, row_end, keys, column + row_end - segment.begin);
  }
}

// scores[rows, width] = scale q k^T; the row-major product is the column-major one of transposes.
template <class T>
void score(const T* q,
           const T* k,
           const Sizes<T>& z,
           T scale,
           int64_t rows,
           const std::vector<KeyBlock>& keys,
           int64_t width,
           T* scores) {
  for (const KeyBlock& block : keys) {
    tensor::gemm(Side::kTransposed,
                 Side::kPlain,
                 block.end - block.begin,
                 rows,
                 z.E,
                 scale,
                 k + block.begin * z.G * z.E,
                 z.G * z.E,
                 q,
                 z.H * z.E,
                 T(0),
                 scores + block.column,
                 width);
  }
}

template <class T>
void forward_task(const Tree& tree,
                  const Family& family,
                  int64_t g,
                  const Sizes<T>& z,
                  const T* q,
                  const T* k,
                  const T* v,
                  T* out,
                  T* lse,
                  std::vector<T>& scores) {
  const int64_t heads = z.H / z.G;
  for (const int64_t s : family.segments) {
    each_query_block(tree, s, [&](int64_t row, int64_t row_end, const auto& keys, int64_t width) {
      const int64_t rows = row_end - row;
      scores.resize(std::max(scores.size(), static_cast<size_t>(rows * width)));
      for (int64_t h = g * heads; h < (g + 1) * heads; ++h) {
        score(q + (row * z.H + h) * z.E, k + g * z.E, z, z.scale, rows, keys, width, scores.data());
        for (int64_t r = 0; r < rows; ++r) {
          T* line = scores.data() + r * width;
          const int64_t seen = width - rows + r + 1;
          const T top = largest(line, seen);
          const T sum = exp_shifted(line, top, seen);
          for (int64_t j = 0; j < seen; ++j) {
            line[j] /= sum;
          }
          std::fill(line + seen, line + width, T(0));
          lse[(row + r) * z.H + h] = top + std::log(sum);
        }
        T beta = 0;
        for (const KeyBlock& block : keys) {
          tensor::gemm(Side::kPlain,
                       Side::kPlain,
                       z.E,
                       rows,
                       block.end - block.begin,
                       T(1),
                       v + (block.begin * z.G + g) * z.E,
                       z.G * z.E,
                       scores.data() + block.column,
                       width,
                       beta,
                       out + (row * z.H + h) * z.E,
                       z.H * z.E);
          beta = 1;
        }
      }
    });
  }
}

template <class T>
struct Grads {
  T *dq, *dk, *dv;
};

template <class T>
void backward_task(const Tree& tree,
                   const Family& family,
                   int64_t g,
                   const Sizes<T>& z,
                   const T* q,
                   const T* k,
                   const T* v,
                   const T* out,
                   const T* lse,
                   const T* dout,
                   const Grads<T>& grads,
                   std::vector<T>& p,
                   std::vector<T>& ds) {
  const int64_t heads = z.H / z.G;
  for (const int64_t s : family.segments) {
    each_query_block(tree, s, [&](int64_t row, int64_t row_end, const auto& keys, int64_t width) {
      const int64_t rows = row_end - row;
      p.resize(std::max(p.size(), static_cast<size_t>(rows * width)));
      ds.resize(p.size());
      for (int64_t h = g * heads; h < (g + 1) * heads; ++h) {
        const int64_t at = (row * z.H + h) * z.E;
        score(q + at, k + g * z.E, z, z.scale, rows, keys, width, p.data());
        score(dout + at, v + g * z.E, z, T(1), rows, keys, width, ds.data());
        for (int64_t r = 0; r < rows; ++r) {
          T* pline = p.data() + r * width;
          T* dline = ds.data() + r * width;
          const int64_t seen = width - rows + r + 1;
          exp_shifted(pline, lse[(row + r) * z.H + h], seen);
          T dot = 0;
          for (int64_t e = 0; e < z.E; ++e) {
            dot += dout[at + r * z.H * z.E + e] * out[at + r * z.H * z.E + e];
          }
          for (int64_t j = 0; j < seen; ++j) {
            dline[j] = pline[j] * (dline[j] - dot) * z.scale;
          }
          std::fill(pline + seen, pline + width, T(0));
          std::fill(dline + seen, dline + width, T(0));
        }
        T beta = 0;
        for (const KeyBlock& block : keys) {
          const int64_t length = block.end - block.begin;
          const int64_t kv = (block.begin * z.G + g) * z.E;
          const auto into = [&](const T* a, int64_t lda, const T* b, T* c) {
            tensor::gemm(Side::kPlain,
                         Side::kTransposed,
                         z.E,
                         length,
                         rows,
                         T(1),
                         a,
                         lda,
                         b + block.column,
                         width,
                         T(1),
                         c + kv,
                         z.G * z.E);
          };
          into(dout + at, z.H * z.E, p.data(), grads.dv);
          into(q + at, z.H * z.E, ds.data(), grads.dk);
          tensor::gemm(Side::kPlain,
                       Side::kPlain,
                       z.E,
                       rows,
                       length,
                       T(1),
                       k + kv,
                       z.G * z.E,
                       ds.data() + block.column,
                       width,
                       beta,
                       grads.dq + at,
                       z.H * z.E);
          beta = 1;
        }
      }
    });
  }
}

template <class Run>
void each_task(const Tree& tree, int64_t G, Run&& run) {
  const std::vector<Family> all = families(tree);
  const int64_t threads = at::get_num_threads();
  const auto shares = share_out(all, G, threads);
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      run(all, shares[static_cast<size_t>(t)]);
    }
  });
}

class TreeAttention : public torch::autograd::Function<TreeAttention> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& q_NHE,
                            const at::Tensor& k_NGE,
                            const at::Tensor& v_NGE,
                            const std::shared_ptr<const Tree>& tree) {
    const int64_t N = q_NHE.size(0);
    const int64_t H = q_NHE.size(1);
    const int64_t G = k_NGE.size(1);
    const int64_t E = q_NHE.size(2);
    const at::Tensor out_NHE = at::empty_like(q_NHE);
    const at::Tensor lse_NH = at::empty({N, H}, q_NHE.options());
    AT_DISPATCH_FLOATING_TYPES(q_NHE.scalar_type(), "tree_attention", [&] {
      const Sizes<scalar_t> z{H, G, E, static_cast<scalar_t>(1.0 / std::sqrt(double(E)))};
      const scalar_t* q = q_NHE.const_data_ptr<scalar_t>();
      const scalar_t* k = k_NGE.const_data_ptr<scalar_t>();
      const scalar_t* v = v_NGE.const_data_ptr<scalar_t>();
      scalar_t* out = out_NHE.data_ptr<scalar_t>();
      scalar_t* lse = lse_NH.data_ptr<scalar_t>();
      each_task(*tree, G, [&](const std::vector<Family>& all, const std::vector<Task>& tasks) {
        std::vector<scalar_t> scores;
        for (const Task& task : tasks) {
          forward_task(*tree,
                       all[static_cast<size_t>(task.family)],
                       task.kv_head,
                       z,
                       q,
                       k,
                       v,
                       out,
                       lse,
                       scores);
        }
      });
    });
    context->save_for_backward({q_NHE, k_NGE, v_NGE, out_NHE, lse_NH});
    context->saved_data["tree"] = c10::IValue::make_capsule(c10::make_intrusive<TreeHolder>(tree));
    return out_NHE;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const auto tree =
        c10::static_intrusive_pointer_cast<TreeHolder>(context->saved_data["tree"].toCapsule())
            ->tree;
    const at::Tensor dout_NHE = grads[0].contiguous();
    const at::Tensor dq_NHE = at::empty_like(saved[0]);
    const at::Tensor dk_NGE = at::zeros_like(saved[1]);
    const at::Tensor dv_NGE = at::zeros_like(saved[2]);
    const int64_t H = saved[0].size(1);
    const int64_t G = saved[1].size(1);
    const int64_t E = saved[0].size(2);
    AT_DISPATCH_FLOATING_TYPES(saved[0].scalar_type(), "tree_attention_backward", [&] {
      const Sizes<scalar_t> z{H, G, E, static_cast<scalar_t>(1.0 / std::sqrt(double(E)))};
      const auto* q = saved[0].const_data_ptr<scalar_t>();
      const auto* k = saved[1].const_data_ptr<scalar_t>();
      const auto* v = saved[2].const_data_ptr<scalar_t>();
      const auto* out = saved[3].const_data_ptr<scalar_t>();
      const auto* lse = saved[4].const_data_ptr<scalar_t>();
      const auto* dout = dout_NHE.const_data_ptr<scalar_t>();
      const Grads<scalar_t> into{
          dq_NHE.data_ptr<scalar_t>(), dk_NGE.data_ptr<scalar_t>(), dv_NGE.data_ptr<scalar_t>()};
      each_task(*tree, G, [&](const std::vector<Family>& all, const std::vector<Task>& tasks) {
        std::vector<scalar_t> p;
        std::vector<scalar_t> ds;
        for (const Task& task : tasks) {
          backward_task(*tree,
                        all[static_cast<size_t>(task.family)],
                        task.kv_head,
                        z,
                        q,
                        k,
                        v,
                        out,
                        lse,
                        dout,
                        into,
                        p,
                        ds);
        }
      });
    });
    return {dq_NHE, dk_NGE, dv_NGE, at::Tensor()};
  }

 private:
  struct TreeHolder : torch::CustomClassHolder {
    explicit TreeHolder(std::shared_ptr<const Tree> held) : tree(std::move(held)) {}
    std::shared_ptr<const Tree> tree;
  };
};

// Elsewhere than on the CPU: one call a segment, by ATen's kernel for the device.
at::Tensor attention_by_segments(const at::Tensor& q_NHE,
                                 const at::Tensor& k_NGE,
                                 const at::Tensor& v_NGE,
                                 const Tree& tree) {
  const int64_t heads = q_NHE.size(1) / k_NGE.size(1);
  std::vector<at::Tensor> parts;
  for (size_t s = 0; s < tree.segments.size(); ++s) {
    const Segment& own = tree.segments[s];
    std::vector<at::Tensor> k;
    std::vector<at::Tensor> v;
    std::vector<int64_t> chain = tree.ancestors(static_cast<int64_t>(s));
    chain.push_back(static_cast<int64_t>(s));
    for (const int64_t a : chain) {
      const Segment& segment = tree.segments[static_cast<size_t>(a)];
      k.push_back(k_NGE.slice(0, segment.begin, segment.end));
      v.push_back(v_NGE.slice(0, segment.begin, segment.end));
    }
    const auto by_head = [&](const at::Tensor& x_TGE) {
      return x_TGE.repeat_interleave(heads, 1).transpose(0, 1).unsqueeze(0);
    };
    const at::Tensor q = q_NHE.slice(0, own.begin, own.end).transpose(0, 1).unsqueeze(0);
    const at::Tensor keys = at::cat(k);
    const int64_t T = own.end - own.begin;
    const int64_t before = keys.size(0) - T;
    const at::Tensor hidden =
        at::full({T, keys.size(0)}, -std::numeric_limits<double>::infinity(), q.options())
            .triu(before + 1);
    parts.push_back(at::scaled_dot_product_attention(q, by_head(keys), by_head(at::cat(v)), hidden)
                        .squeeze(0)
                        .transpose(0, 1));
  }
  return at::cat(parts);
}

}  // namespace

at::Tensor tree_attention(const at::Tensor& q_NHE,
                          const at::Tensor& k_NGE,
                          const at::Tensor& v_NGE,
                          const std::shared_ptr<const Tree>& tree) {
  ensure(q_NHE.size(1) % k_NGE.size(1) == 0,
         "attention: {} query heads over {} key heads",
         q_NHE.size(1),
         k_NGE.size(1));
  ensure(!tree->segments.empty() && tree->segments.back().end == q_NHE.size(0),
         "attention: the tree does not cover the {} tokens",
         q_NHE.size(0));
  if (!q_NHE.is_cpu()) {
    return attention_by_segments(q_NHE, k_NGE, v_NGE, *tree);
  }
  return TreeAttention::apply(q_NHE.contiguous(), k_NGE.contiguous(), v_NGE.contiguous(), tree);
}

}  // namespace attune::nn
