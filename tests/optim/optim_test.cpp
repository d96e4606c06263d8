// AdamW, clipping and schedules against torch and transformers (tests/golden/optim.py).
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

#include "attune/io/json.h"
#include "attune/optim/adamw.h"
#include "attune/optim/schedule.h"

#include "tests/tensor/golden.h"

namespace attune::optim {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using tests::numbers;

at::Tensor tensor_of(const json& values, at::ScalarType dtype) {
  const auto list = values.get<std::vector<double>>();
  at::Tensor tensor =
      at::empty({static_cast<int64_t>(list.size())}, at::TensorOptions().dtype(at::kDouble));
  std::copy(list.begin(), list.end(), tensor.data_ptr<double>());
  return tensor.to(dtype);
}

class GoldenOptim : public testing::TestWithParam<at::ScalarType> {};
INSTANTIATE_TEST_SUITE_P(Precision,
                         GoldenOptim,
                         testing::Values(at::kFloat, at::kDouble),
                         [](const auto& test) { return test.param == at::kFloat ? "f32" : "f64"; });

TEST_P(GoldenOptim, AdamWGoesWhereTorchGoes) {
  const auto dtype = GetParam();
  const json file = io::read_json(tests::golden("optim.json"));
  ASSERT_EQ(file.at("adamw").size(), 4U);
  for (const json& row : file.at("adamw")) {
    SCOPED_TRACE(row.at("name").get<std::string>());
    std::vector<at::Tensor> parameters;
    for (const char* const key : {"a", "b"}) {
      at::Tensor start = tensor_of(row.at("start").at(key), dtype);
      start = std::string(key) == "a" ? start.view({2, 3}) : start;
      parameters.push_back(start.set_requires_grad(true));
    }
    OptimOptions options;
    options.beta1 = row.at("b1").get<double>();
    options.beta2 = row.at("b2").get<double>();
    options.eps = row.at("eps").get<double>();
    options.weight_decay = row.at("weight_decay").get<double>();
    AdamW optimizer(parameters, options);
    int64_t updates = 0;
    for (const json& step : row.at("steps")) {
      SCOPED_TRACE(updates);
      for (size_t i = 0; i < 2; ++i) {
        parameters[i].mutable_grad() = tensor_of(step.at("gradient").at(i == 0 ? "a" : "b"), dtype)
                                           .view(parameters[i].sizes());
      }
      if (!row.at("clip").is_null()) {
        const double norm = grad_norm(parameters);
        const double want = step.at("norm").get<double>();
        EXPECT_NEAR(norm, want, 1e-12 * std::max(1.0, want));
        clip_gradients(parameters, norm, row.at("clip").get<double>());
      }
      optimizer.step(step.at("lr").get<double>());
      for (size_t i = 0; i < 2; ++i) {
        const json& after = step.at(dtype == at::kDouble ? "after64" : "after32");
        const at::Tensor want = tensor_of(after.at(i == 0 ? "a" : "b"), at::kDouble);
        EXPECT_LE(tests::difference(parameters[i].view({-1}), want),
                  dtype == at::kDouble ? 1e-12 : 1e-6);
      }
      EXPECT_EQ(optimizer.updates(), ++updates);
    }
  }
}

TEST(GoldenSchedules, AreThoseOfTransformers) {
  const json file = io::read_json(tests::golden("optim.json"));
  ASSERT_EQ(file.at("schedules").size(), 15U);
  for (const json& row : file.at("schedules")) {
    SCOPED_TRACE(row.dump().substr(0, 80));
    const auto steps = row.at("steps").get<int64_t>();
    const auto warmup = row.at("warmup").get<int64_t>();
    OptimOptions options;
    options.schedule = row.at("kind").get<std::string>();
    options.lr = row.at("base").get<double>();
    // The share that gives this many warm-up steps, off the edge of rounding.
    options.warmup_ratio =
        warmup == 0 ? 0 : (static_cast<double>(warmup) - 0.5) / static_cast<double>(steps);
    for (int64_t i = 0; i < steps; ++i) {
      EXPECT_NEAR(learning_rate(options, i, steps), row.at("rates").at(i).get<double>(), 1e-15)
          << "step " << i;
    }
  }
}

TEST(Schedule, TheWarmUpIsRoundedUpAsTransformersDoes) {
  // ceil(20 * 0.1) = 2 although 0.1 * 20 is not exactly 2 in binary; ceil(7 * 0.1) = 1.
  const OptimOptions options{.lr = 1, .schedule = "constant", .warmup_ratio = 0.1};
  EXPECT_EQ(learning_rate(options, 1, 20), 0.5);
  EXPECT_EQ(learning_rate(options, 2, 20), 1);
  EXPECT_EQ(learning_rate(options, 0, 7), 0);
  EXPECT_EQ(learning_rate(options, 1, 7), 1);
}

TEST(Schedule, NeverFallsBelowZeroAfterTheEnd) {
  for (const char* const schedule : {"linear", "cosine", "constant"}) {
    const OptimOptions options{.lr = 2, .schedule = schedule, .warmup_ratio = 0};
    EXPECT_GE(learning_rate(options, 11, 10), 0) << schedule;
  }
}

TEST(AdamW, LeavesAParameterWithoutGradientAlone) {
  at::Tensor moved = tests::normal({3}, 1).set_requires_grad(true);
  at::Tensor still = tests::normal({5}, 2).set_requires_grad(true);
  const auto before = numbers(still);
  AdamW optimizer({moved, still}, OptimOptions{.weight_decay = 0.5});
  moved.mutable_grad() = tests::normal({3}, 3);
  optimizer.step(0.1);
  EXPECT_EQ(numbers(still), before);
  optimizer.zero_grad();
  EXPECT_FALSE(moved.grad().defined());
}

TEST(AdamW, GoesOnFromSavedMomentsAsIfNeverStopped) {
  const auto run = [](int stop_after) {
    at::Tensor w = tests::normal({7}, 1, at::kFloat).set_requires_grad(true);
    auto optimizer = std::make_unique<AdamW>(std::vector{w}, OptimOptions{.weight_decay = 0.1});
    for (int t = 0; t < 6; ++t) {
      if (t == stop_after) {
        auto next = std::make_unique<AdamW>(std::vector{w}, OptimOptions{.weight_decay = 0.1});
        next->restore({optimizer->means()[0].clone()},
                      {optimizer->squares()[0].clone()},
                      optimizer->updates());
        optimizer = std::move(next);
      }
      w.mutable_grad() = tests::normal({7}, 10 + t, at::kFloat);
      optimizer->step(0.01);
    }
    return w.detach().clone();
  };
  EXPECT_TRUE(tests::same_bits(run(-1), run(3)));
}

TEST(AdamW, RefusesMomentsOfAnotherModel) {
  AdamW optimizer({tests::normal({7}, 1).set_requires_grad(true)}, {});
  EXPECT_THAT(tests::error_of(
                  [&] { optimizer.restore({tests::normal({6}, 1)}, {tests::normal({6}, 1)}, 3); }),
              HasSubstr("of another model"));
  EXPECT_THROW(optimizer.restore({}, {}, 3), InternalError);
  EXPECT_THROW(AdamW({tests::normal({7}, 1)}, {}), InternalError);
}

// 1, -2, 3, -4, ... of both dtypes: the sum of the first n squares is n (n + 1) (2n + 1) / 6, exact
// in f64. 131,101 numbers are more than one thread's piece.
TEST(GradNorm, IsTheLengthOfAllGradientsTogether) {
  double expected = 0;
  std::vector<at::Tensor> parameters;
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    for (const int64_t n : {7, 131'101}) {
      at::Tensor g = at::arange(1, n + 1, dtype);
      g.slice(0, 1, n, 2).neg_();
      parameters.push_back(at::zeros({n}, dtype).set_requires_grad(true));
      parameters.back().mutable_grad() = g;
      const auto count = static_cast<double>(n);
      expected += count * (count + 1) * (2 * count + 1) / 6;
    }
  }
  parameters.push_back(at::zeros({3}).set_requires_grad(true));  // has no gradient
  EXPECT_NEAR(grad_norm(parameters) / std::sqrt(expected), 1, 1e-14);
}

TEST(GradNorm, OneThreadOrTwoGiveTheSameBits) {
  const at::Tensor w = tests::normal({17, 19'997}, 3).to(at::kFloat).set_requires_grad(true);
  w.mutable_grad() = tests::normal({17, 19'997}, 5).to(at::kFloat);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const double one = grad_norm({w});
  at::set_num_threads(2);
  const double two = grad_norm({w});
  at::set_num_threads(before);
  EXPECT_EQ(one, two);
}

TEST(Clip, NeverLengthensAndZeroIsOff) {
  at::Tensor w = tests::normal({2}, 1).set_requires_grad(true);
  const auto clipped = [&](double max_norm) {
    at::Tensor g = tests::normal({2}, 1);
    g.data_ptr<double>()[0] = 3;
    g.data_ptr<double>()[1] = 4;
    w.mutable_grad() = g;
    const double norm = grad_norm({w});
    EXPECT_NEAR(norm, 5, 1e-15);
    clip_gradients({w}, norm, max_norm);
    return numbers(w.grad());
  };
  EXPECT_EQ(clipped(0), (std::vector<double>{3, 4}));
  EXPECT_EQ(clipped(6), (std::vector<double>{3, 4}));
  EXPECT_NEAR(clipped(1)[0], 3.0 / (5 + 1e-6), 1e-15);
  EXPECT_NEAR(clipped(1)[1], 4.0 / (5 + 1e-6), 1e-15);
}

}  // namespace
}  // namespace attune::optim
