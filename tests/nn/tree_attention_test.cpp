// Attention over the token tree against one softmax with a dense mask that is made from the rule
// itself: token j is visible to i if it stands on i's way to the root and not after i.
#include "attune/nn/tree_attention.h"

#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include "attune/nn/attention_kernel.h"
#include "attune/nn/attention_plan.h"
#include "attune/tensor/tiles.h"

#include "tests/nn/compare.h"

namespace attune::nn {
namespace {

using tensor::Tree;
using tests::normal;

// Lengths and parents of the segments.
std::shared_ptr<const Tree> tree_of(const std::vector<std::pair<int64_t, int64_t>>& segments) {
  auto tree = std::make_shared<Tree>();
  int64_t at = 0;
  for (const auto& [length, parent] : segments) {
    tree->segments.push_back({at, at + length, parent});
    at += length;
  }
  return tree;
}

at::Tensor hidden_from(const Tree& tree, at::ScalarType dtype) {
  const int64_t N = tree.segments.back().end;
  at::Tensor mask = at::empty({N, N}, at::TensorOptions().dtype(dtype)).fill_(-INFINITY);
  for (const tensor::Segment& own : tree.segments) {
    for (int64_t i = own.begin; i < own.end; ++i) {
      mask.select(0, i).slice(0, own.begin, i + 1).fill_(0);
      for (int64_t a = own.parent; a >= 0; a = tree.segments[static_cast<size_t>(a)].parent) {
        const tensor::Segment& ancestor = tree.segments[static_cast<size_t>(a)];
        mask.select(0, i).slice(0, ancestor.begin, ancestor.end).fill_(0);
      }
    }
  }
  return mask;
}

struct Heads {
  int64_t H, G, E;
};

class TreeAttention : public tests::BothPrecisions {
 protected:
  static void expect_dense(const std::shared_ptr<const Tree>& tree, Heads z, bool strided = false) {
    const int64_t N = tree->segments.back().end;
    SCOPED_TRACE(fmt::format(
        "{} segments, {} tokens, {} / {} heads of {}", tree->segments.size(), N, z.H, z.G, z.E));
    const auto ours = [&](const tests::Inputs& in) {
      return tree_attention(in[0], in[1], in[2], tree);
    };
    const at::Tensor mask_NN = hidden_from(*tree, dtype());
    const auto plain = [&](const tests::Inputs& in) {
      const at::Tensor k = in[1].repeat_interleave(z.H / z.G, 1);
      const at::Tensor v = in[2].repeat_interleave(z.H / z.G, 1);
      const at::Tensor scores =
          at::einsum("nhe,mhe->hnm", {in[0], k}) / std::sqrt(static_cast<double>(z.E)) + mask_NN;
      return at::einsum("hnm,mhe->nhe", {at::softmax(scores, -1), v});
    };
    const auto make = [&](int64_t heads, uint64_t seed) {
      return strided ? normal({heads, N, z.E}, seed).transpose(0, 1)
                     : normal({N, heads, z.E}, seed);
    };
    expect_same(ours, plain, {2 * make(z.H, 1), make(z.G, 2), make(z.G, 3)});
  }
};
INSTANTIATE_TEST_SUITE_P(Precision, TreeAttention, tests::kPrecisions, tests::precision_name);

TEST_P(TreeAttention, EqualsADenseMaskForOneToFiveCompletions) {
  std::vector<std::pair<int64_t, int64_t>> segments{{7, -1}};
  for (const int64_t length : {5, 3, 1, 11, 2}) {
    segments.emplace_back(length, 0);
    expect_dense(tree_of(segments), {4, 2, 6});
  }
}

TEST_P(TreeAttention, EqualsADenseMaskForPlainTextsAndSingleTokens) {
  expect_dense(tree_of({{1, -1}, {2, -1}, {1, -1}, {1, 2}}), {2, 2, 4});
  expect_dense(tree_of({{13, -1}, {1, 0}, {1, 0}, {1, -1}, {3, 3}}), {6, 3, 5});
}

TEST_P(TreeAttention, EqualsADenseMaskForDeepTrees) {
  // Prompt, two first steps, three second steps, a third step; then another root.
  expect_dense(tree_of({{5, -1}, {3, 0}, {4, 0}, {2, 1}, {6, 1}, {1, 2}, {7, 4}, {3, -1}, {2, 7}}),
               {3, 1, 8});
}

TEST_P(TreeAttention, EqualsADenseMaskWhereManyTextsBeginAlike) {
  // One beginning, seven prompts, two completions each: subtrees are tasks of their own.
  std::vector<std::pair<int64_t, int64_t>> segments{{23, -1}};
  for (int64_t prompt = 0; prompt < 7; ++prompt) {
    const auto at = static_cast<int64_t>(segments.size());
    segments.insert(segments.end(), {{41 + prompt, 0}, {13, at}, {29 - prompt, at}});
  }
  expect_dense(tree_of(segments), {6, 3, 8});
  expect_dense(tree_of(segments), {2, 2, 5});
}

TEST_P(TreeAttention, EqualsADenseMaskBeyondOneBlockOfQueries) {
  // 64 queries a block: below, at and beyond the border, and beyond two blocks.
  expect_dense(tree_of({{64, -1}, {65, 0}, {63, 0}, {131, 0}, {70, -1}, {129, 4}}), {2, 1, 8});
}

TEST_P(TreeAttention, EqualsADenseMaskBeyondThePanelsThatHeadsMeetTogether) {
  expect_dense(tree_of({{530, -1}, {67, 0}, {3, 0}}), {4, 2, 6});  // more than 8 panels of keys
}

TEST_P(TreeAttention, EqualsADenseMaskForTheHeadsOfRealModels) {
  const auto tree = tree_of({{71, -1}, {65, 0}, {3, 0}, {1, -1}});
  expect_dense(tree, {6, 2, 64});
  expect_dense(tree, {3, 1, 128});
  expect_dense(tree, {2, 1, 80});
}

TEST_P(TreeAttention, EqualsADenseMaskForManyShortAnswersToALongPrompt) {
  std::vector<std::pair<int64_t, int64_t>> segments{{389, -1}};
  for (int64_t answer = 0; answer < 31; ++answer) {
    segments.emplace_back(1 + answer % 5, 0);
  }
  expect_dense(tree_of(segments), {2, 1, 6});
}

TEST(AttentionPlan, ALongTextIsWorkForManyAndAnswersAreTakenTogether) {
  std::vector<std::pair<int64_t, int64_t>> segments{{2048, -1}};
  for (int64_t answer = 0; answer < 97; ++answer) {
    segments.emplace_back(7, 0);
  }
  const AttentionPlan plan = plan_attention(*tree_of(segments), 3);
  EXPECT_GE(plan.families.size(), 5U);
  EXPECT_LE(plan.families.size(), 16U);
  ASSERT_EQ(plan.tasks.size(), 3 * plan.families.size());
  int64_t sum = 0;
  for (size_t t = 0; t < plan.tasks.size(); ++t) {
    sum += plan.tasks[t].cost;
    EXPECT_TRUE(t == 0 || plan.tasks[t].cost <= plan.tasks[t - 1].cost);
  }
  EXPECT_LT(plan.tasks[0].cost, sum / 8) << "one task keeps a thread while the others have none";
}

// Results and slopes of one pass by a plan: out, dq, dk, dv.
template <class T>
std::vector<at::Tensor> by_plan(const AttentionPlan& plan,
                                const std::vector<at::Tensor>& qkv,
                                const at::Tensor& dout_NHE,
                                bool narrow = false) {
  const AttentionInput<T> in{.H = qkv[0].size(1),
                             .G = qkv[1].size(1),
                             .E = qkv[0].size(2),
                             .q = qkv[0].const_data_ptr<T>(),
                             .k = qkv[1].const_data_ptr<T>(),
                             .v = qkv[2].const_data_ptr<T>()};
  const at::Tensor out = at::full_like(qkv[0], NAN);
  const at::Tensor lse = at::empty({qkv[0].size(0), in.H}, qkv[0].options());
  attend_tree<T>(in, plan, {.out = out.data_ptr<T>(), .lse = lse.data_ptr<T>()});
  std::vector<at::Tensor> results{out};
  for (const at::Tensor& x : qkv) {
    results.push_back(at::zeros_like(x));
  }
  attend_tree_backward<T>(in,
                          plan,
                          {.out = out.const_data_ptr<T>(),
                           .lse = lse.const_data_ptr<T>(),
                           .dout = dout_NHE.const_data_ptr<T>(),
                           .dq = results[1].data_ptr<T>(),
                           .dk = results[2].data_ptr<T>(),
                           .dv = results[3].data_ptr<T>()},
                          narrow);
  return results;
}

TEST(NarrowAttention, PointsWhereTheExactSlopesPoint) {
  if (!tensor::tiles_take_bf16()) {
    GTEST_SKIP() << "this machine has no bf16 products";
  }
  const auto tree = tree_of({{571, -1}, {67, 0}, {3, 0}, {41, -1}, {130, 3}, {1, 3}});
  const int64_t N = tree->segments.back().end;
  for (const int64_t E : {64, 80, 7}) {
    SCOPED_TRACE(fmt::format("heads of {}", E));
    const std::vector<at::Tensor> qkv{normal({N, 6, E}, 1, at::kFloat),
                                      normal({N, 2, E}, 2, at::kFloat),
                                      normal({N, 2, E}, 3, at::kFloat)};
    const at::Tensor dout = normal({N, 6, E}, 4, at::kFloat);
    const AttentionPlan plan = plan_attention(*tree, 2);
    const auto exact = by_plan<float>(plan, qkv, dout);
    const auto rounded = by_plan<float>(plan, qkv, dout, /*narrow=*/true);
    EXPECT_TRUE(tests::same_bits(exact[0], rounded[0]));
    for (size_t i = 1; i < exact.size(); ++i) {
      EXPECT_EQ(tests::same_bits(exact[i], rounded[i]), E == 7) << i;  // odd: none is rounded
      const double cosine =
          ((exact[i] * rounded[i]).sum() / (exact[i].norm() * rounded[i].norm())).item<double>();
      EXPECT_GT(cosine, 0.99999) << i;
    }
  }
}

TEST_P(TreeAttention, OfSomeQueriesIsWhatItIsOfAll) {
  // The end of a prompt, most of an answer, a few far apart, none of a segment or of a whole text.
  const auto tree = tree_of({{71, -1}, {67, 0}, {3, 0}, {41, -1}, {197, 3}, {13, -1}});
  const int64_t N = tree->segments.back().end;
  std::vector<int64_t> wanted{70};
  for (int64_t i = 71; i < 137; ++i) {
    wanted.push_back(i);
  }
  for (const int64_t i : {185, 190, 300, 378}) {
    wanted.push_back(i);
  }
  const std::vector<at::Tensor> qkv{
      normal({N, 6, 8}, 1, dtype()), normal({N, 3, 8}, 2, dtype()), normal({N, 3, 8}, 3, dtype())};
  const at::Tensor rows = at::tensor(wanted);
  const at::Tensor dout = at::zeros_like(qkv[0]);
  dout.index_copy_(0, rows, normal({N, 6, 8}, 4, dtype()).index_select(0, rows));
  const auto run = [&](const AttentionPlan& plan) {
    return dtype() == at::kFloat ? by_plan<float>(plan, qkv, dout)
                                 : by_plan<double>(plan, qkv, dout);
  };
  const auto all = run(plan_attention(*tree, 3));
  const auto some = run(plan_attention(*tree, 3, wanted));
  const double tolerance = dtype() == at::kFloat ? 1e-5 : 1e-13;
  EXPECT_TRUE(at::allclose(
      all[0].index_select(0, rows), some[0].index_select(0, rows), tolerance, tolerance));
  for (size_t i = 1; i < all.size(); ++i) {
    EXPECT_TRUE(at::allclose(all[i], some[i], tolerance, tolerance)) << i;
  }
  // Nothing was computed of what nobody asked for.
  for (const auto& [begin, end] : {std::pair{0, 70}, std::pair{137, 185}, std::pair{379, 392}}) {
    EXPECT_TRUE(some[0].slice(0, begin, end).isnan().all().item<bool>()) << begin;
  }
}

TEST_P(TreeAttention, EqualsADenseMaskForEveryGroupingOfHeads) {
  const auto tree = tree_of({{5, -1}, {3, 0}, {4, 0}, {6, -1}, {2, 3}});
  expect_dense(tree, {6, 6, 4});
  expect_dense(tree, {6, 3, 4});
  expect_dense(tree, {6, 2, 4});
  expect_dense(tree, {6, 1, 4});
  expect_dense(tree, {1, 1, 2});
}

TEST_P(TreeAttention, TakesInputsOfAnyStride) {
  expect_dense(tree_of({{5, -1}, {3, 0}, {4, 0}}), {4, 2, 6}, /*strided=*/true);
}

TEST_P(TreeAttention, BySegmentsIsTheSame) {
  const auto tree = tree_of({{71, -1}, {3, 0}, {4, 0}, {2, 1}, {1, 2}, {9, -1}, {2, 5}});
  const int64_t N = tree->segments.back().end;
  const auto ours = [&](const tests::Inputs& in) {
    return attention_by_segments(in[0], in[1], in[2], *tree);
  };
  const auto plain = [&](const tests::Inputs& in) {
    return tree_attention(in[0], in[1], in[2], tree);
  };
  expect_same(ours, plain, {normal({N, 6, 8}, 1), normal({N, 2, 8}, 2), normal({N, 2, 8}, 3)});
}

TEST_P(TreeAttention, TheNumberOfThreadsChangesNoBit) {
  const auto tree = tree_of({{71, -1}, {30, 0}, {83, 0}, {9, -1}, {21, 3}, {13, 3}, {3, -1}});
  const int64_t N = tree->segments.back().end;
  const auto run = [&](int threads) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    std::vector<at::Tensor> in{normal({N, 6, 8}, 4, dtype()),
                               normal({N, 3, 8}, 5, dtype()),
                               normal({N, 3, 8}, 6, dtype())};
    for (at::Tensor& x : in) {
      x.set_requires_grad(true);
    }
    const at::Tensor y = tree_attention(in[0], in[1], in[2], tree);
    (y * y).sum().backward();
    at::set_num_threads(before);
    return std::vector<at::Tensor>{y.detach(), in[0].grad(), in[1].grad(), in[2].grad()};
  };
  const auto one = run(1);
  // Who has which task is chance.
  for (int time = 0; time < 20; ++time) {
    const int threads = 2 + time % 2;
    const auto many = run(threads);
    for (size_t i = 0; i < one.size(); ++i) {
      EXPECT_TRUE(tests::same_bits(one[i], many[i])) << threads << " threads, tensor " << i;
    }
  }
}

TEST_P(TreeAttention, ASiblingsNanIsNotSeen) {
  const auto tree = tree_of({{5, -1}, {3, 0}, {4, 0}});
  at::Tensor k = normal({12, 2, 6}, 7, dtype());
  at::Tensor v = normal({12, 2, 6}, 8, dtype());
  k.slice(0, 5, 8).fill_(NAN);
  v.slice(0, 5, 8).fill_(NAN);
  const at::Tensor y = tree_attention(normal({12, 4, 6}, 9, dtype()), k, v, tree);
  const auto broken = [&](int64_t begin, int64_t end) {
    return std::isnan(y.slice(0, begin, end).sum().item<double>());
  };
  EXPECT_FALSE(broken(0, 5));
  EXPECT_TRUE(broken(5, 6) && broken(6, 7) && broken(7, 8));
  EXPECT_FALSE(broken(8, 12));
}

TEST_P(TreeAttention, LargeScoresDoNotOverflow) {
  const auto tree = tree_of({{3, -1}, {2, 0}});
  const at::Tensor k = normal({5, 1, 4}, 10, dtype());
  const at::Tensor v = normal({5, 1, 4}, 11, dtype());
  const at::Tensor y = tree_attention(1e4 * normal({5, 1, 4}, 12, dtype()), k, v, tree);
  EXPECT_LE(tests::magnitude(y), tests::magnitude(v) * (1 + 1e-6));
}

TEST(TreeAttentionInput, MustFitTheTree) {
  const auto tree = tree_of({{3, -1}, {2, 0}});
  const at::Tensor x = normal({6, 2, 4}, 13);
  EXPECT_THROW(tree_attention(x, x, x, tree), InternalError);
  const at::Tensor y = normal({5, 2, 4}, 14);
  EXPECT_THROW(tree_attention(normal({5, 3, 4}, 15), y, y, tree), InternalError);
}

}  // namespace
}  // namespace attune::nn
