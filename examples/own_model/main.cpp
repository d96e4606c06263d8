// A model of your own, tuned on preferences: a table of letter pairs learns to prefer words that
// alternate vowels and consonants. attune needs two things from it: one log-prob per sequence, and
// its parameters.
#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "attune/core/error.h"
#include "attune/train/dpo_trainer.h"

namespace {

constexpr int64_t kLetters = 26;

/// A batch is whatever the model understands; here, words of small letters.
using Words = std::vector<std::string>;

/// log p(word) = sum over its letters of log p(letter | letter before), from a table of logits.
class BigramModel : public attune::train::PolicyModel<Words> {
 public:
  BigramModel() : table_(at::zeros({kLetters, kLetters})) {
    table_.set_requires_grad(true);
  }

  at::Tensor logps(const Words& words) override {
    const at::Tensor logp = at::log_softmax(table_, -1);
    std::vector<at::Tensor> sums;
    for (const std::string& word : words) {
      at::Tensor sum = at::zeros({});
      for (size_t i = 1; i < word.size(); ++i) {
        sum = sum + logp[word[i - 1] - 'a'][word[i] - 'a'];
      }
      sums.push_back(sum);
    }
    return at::stack(sums);
  }

  std::vector<at::Tensor> parameters() override {
    return {table_};
  }

 private:
  at::Tensor table_;
};

at::Tensor indices(const std::vector<int64_t>& values) {
  const at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.data_ptr<int64_t>());
  return tensor;
}

int run() {
  BigramModel model;
  BigramModel reference;  // starts equal and stays as it is
  attune::train::DPOTrainer<Words> trainer(model, reference, /*beta=*/0.1, /*lr=*/0.1);

  // Comparison t prefers word yw[t] to word yl[t].
  const attune::train::PairBatch<Words> batch{
      .x = {"banana", "bnnnaa", "tomato", "ttmmoo", "potato", "pttooa"},
      .yw_idxs = indices({0, 2, 4}),
      .yl_idxs = indices({1, 3, 5})};
  double first = 0;
  double last = 0;
  for (int step = 0; step <= 60; ++step) {
    last = trainer.train_step(batch);
    first = step == 0 ? last : first;
    if (step % 20 == 0) {
      fmt::print("step {:>2}  loss {:.4f}\n", step, last);
    }
  }

  // Two words that it never saw.
  const at::Tensor logps = model.logps({"bato", "bttn"});
  const auto good = logps[0].item<double>();
  const auto bad = logps[1].item<double>();
  fmt::print("log p(bato) = {:.2f}, log p(bttn) = {:.2f}\n", good, bad);
  return last < 0.5 * first && good > bad ? 0 : 1;
}

}  // namespace

int main() try { return run(); } catch (const attune::Error& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 2;
}
