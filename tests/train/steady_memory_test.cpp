// What training steps ask of the system: after the first ones nothing.
#include <malloc.h>
#include <sys/resource.h>

#include <ATen/core/grad_mode.h>

#include "attune/adapter/peft.h"
#include "attune/tensor/allocator.h"
#include "attune/tensor/gemm.h"

#include "tests/train/support.h"

namespace attune::tests {
namespace {

/// What of the system's memory the process has asked for so far.
struct Asked {
  int64_t blocks = tensor::block_cache_state().fresh;  ///< Of large tensors, with new pages.
  size_t heap = ::mallinfo2().arena + ::mallinfo2().hblkhd;
  int64_t pages = page_faults();

  static int64_t page_faults() {
    struct ::rusage usage {};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
  }
};

/// `count` groups of a prompt and two completions, with ids below 97.
train::PreferenceBatch batch_of(int64_t count, size_t prompt, size_t completion) {
  std::vector<data::EncodedGroup> groups;
  const auto ids = [](size_t size, int64_t seed) {
    std::vector<int32_t> list(size);
    for (size_t i = 0; i < size; ++i) {
      list[i] = static_cast<int32_t>((i * 31 + static_cast<size_t>(seed) * 17) % 97);
    }
    return list;
  };
  for (int64_t i = 0; i < count; ++i) {
    data::EncodedGroup& group = groups.emplace_back();
    group.prompt = ids(prompt, i);
    group.completions = {ids(completion, i + 3), ids(completion + 2, i + 5)};
    group.comparisons = {{.winner = 0, .loser = 1, .probability = 1, .weight = 1}};
    group.key = data::content_key(group);
  }
  return train::lift(data::pack(groups));
}

struct Kind {
  const char* name;
  bool by_hand;  // the layers
  bool lora;     // else every weight is trained
};

class SteadyMemory : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    tensor::use_block_cache();
    tensor::set_hand_written_trunk(GetParam().by_hand);
  }
  void TearDown() override {
    tensor::set_hand_written_trunk(true);
  }
};

INSTANTIATE_TEST_SUITE_P(Kinds,
                         SteadyMemory,
                         testing::Values(Kind{"LoraByHand", true, true},
                                         Kind{"LoraOnTheTape", false, true},
                                         Kind{"FullByHand", true, false}),
                         [](const auto& kind) { return std::string(kind.param.name); });

// Steps of two micro-batches, over three steps of different lengths, with the base weights, or the
// golden numbers that they started from, as the reference. Each once to warm up, then the same and
// shorter ones.
TEST_P(SteadyMemory, AWarmStepAsksTheSystemForNothing) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer keeps freed memory away from the heap";
#endif
  const auto model = load(golden("models/smollm2"));
  if (GetParam().lora) {
    std::vector<std::pair<std::string, adapter::Linear*>> layers;
    model->each_linear([&](const std::string& path, adapter::Linear& linear) {
      layers.emplace_back(path, &linear);
    });
    adapter::AdapterOptions options;
    options.rank = 5;
    options.dropout = 0.1;
    adapter::add_lora(layers, options, /*seed=*/7);
  } else {
    train_all(*model);
  }
  std::vector<at::Tensor> parameters;
  for (const auto& parameter : model->trained_parameters()) {
    parameters.push_back(parameter.tensor);
  }
  optim::AdamW optimizer(parameters, {});
  const std::vector<objective::TermOptions> terms{
      {.kind = "dpo", .options = objective::DpoOptions{}, .where = {}}};
  const objective::Objective objective(terms);
  int64_t passes = 0;
  const train::StepParts parts{.objective = &objective,
                               .optimizer = &optimizer,
                               .policy =
                                   [&](const train::PreferenceBatch& batch) {
                                     const adapter::Pass pass{
                                         .dropout = GetParam().lora,
                                         .dropout_key = static_cast<uint64_t>(++passes),
                                         .row_keys_N = batch.row_keys_N};
                                     return train::score(*model, batch, pass);
                                   },
                               .reference =
                                   [&](const train::PreferenceBatch& batch) {
                                     const at::NoGradGuard no_grad;
                                     return train::score(*model, batch, {.adapters = false});
                                   }};
  const auto step = [&](int64_t groups, size_t prompt, size_t completion) {
    const std::vector<train::PreferenceBatch> batches{batch_of(groups, prompt, completion),
                                                      batch_of(groups - 4, prompt, completion)};
    train::run_step(parts, batches, /*lr=*/1e-3);
  };
  const auto round = [&](size_t shorter) {
    step(23, 71 - shorter, 29);
    step(19, 97 - shorter, 37);
    step(29, 43 - shorter, 41);
  };
  for (int i = 0; i < 2; ++i) {
    round(0);
    round(3);
  }
  // Which thread meets which piece is chance, and each has scratch and kernels of its own, which it
  // makes when it first needs them: it takes some rounds until all have all. What a step asks for
  // anew shows in every round.
  constexpr int kMostRounds = 100;
  constexpr int kQuiet = 5;
  const Asked warm;
  const int64_t reused = tensor::block_cache_state().reused;
  int rounds = 0;
  for (int quiet = 0; quiet < kQuiet; ++rounds) {
    ASSERT_LT(rounds, kMostRounds) << "steps go on asking for pages";
    const Asked start;
    round(rounds % 2 == 0 ? 0 : 3);
    quiet = Asked().pages - start.pages < 4 ? quiet + 1 : 0;
  }
  round(5);
  const Asked end;
  EXPECT_EQ(end.blocks, warm.blocks);
  EXPECT_LT(end.heap, warm.heap + (size_t{8} << 20));
  EXPECT_GT(tensor::block_cache_state().reused, reused + int64_t{3} * rounds);
}

}  // namespace
}  // namespace attune::tests
