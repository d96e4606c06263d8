#include "bench/science/bigram_world.h"

#include <algorithm>
#include <cmath>

#include "attune/core/error.h"

namespace attune::science {
namespace {

double log_sum_exp(const double* x, int count) {
  const double most = *std::max_element(x, x + count);
  double total = 0;
  for (int i = 0; i < count; ++i) {
    total += std::exp(x[i] - most);
  }
  return most + std::log(total);
}

std::vector<double> normals(RandomStream& random, int count, double deviation) {
  std::vector<double> list(count);
  std::generate(list.begin(), list.end(), [&] { return deviation * random.normal(); });
  return list;
}

}  // namespace

BigramWorld::BigramWorld(const WorldOptions& options, uint64_t seed) : options_(options) {
  const auto& [V, X, max_tokens, mean_tokens, logit_std, reward_std] = options_;
  check(V >= 2 && X >= 1 && max_tokens >= 1,
        "world: wants 2 tokens, 1 prompt and 1 position or more, got {}, {} and {}",
        V,
        X,
        max_tokens);
  RandomStream random(stream_key(seed, "bigram world"));
  state_logits_ = normals(random, (V + 1) * V, logit_std);
  prompt_logits_ = normals(random, X * V, logit_std);
  if (mean_tokens > 0) {
    lengthen_reference();
  }
  reference_ = policy(state_logits_, prompt_logits_);
  draw_rewards(random);
}

// Shifts the end's logit in every state until the mean length is the wanted one.
void BigramWorld::lengthen_reference() {
  const int V = options_.vocabulary;
  check(options_.mean_tokens > 1 && options_.mean_tokens < options_.max_tokens,
        "world: mean_tokens must be between 1 and max_tokens = {}, got {}",
        options_.max_tokens,
        options_.mean_tokens);
  step_rewards_.assign((V + 1) * V, 0);
  const std::vector<double> drawn = state_logits_;
  double low = -30, high = 30;
  for (int i = 0; i < 50; ++i) {
    const double shift = (low + high) / 2;
    for (int s = 0; s <= V; ++s) {
      state_logits_[s * V] = drawn[s * V] + shift;
    }
    reference_ = policy(state_logits_, prompt_logits_);
    (exact(reference_).tokens > options_.mean_tokens ? low : high) = shift;
  }
}

void BigramWorld::draw_rewards(RandomStream& random) {
  const int V = options_.vocabulary;
  const std::vector<double> token = normals(random, V, 1);
  step_rewards_ = normals(random, (V + 1) * V, 1);
  for (int s = 0; s <= V; ++s) {
    double* rewards = step_rewards_.data() + s * V;
    for (int a = 0; a < V; ++a) {
      rewards[a] += token[a];
    }
    if (options_.mean_tokens > 0) {
      double mass = 0, sum = 0;
      for (int x = 0; x < options_.prompts; ++x) {
        for (int a = 1; a < V; ++a) {
          const double p = std::exp(row(reference_, 0, x, s)[a]);
          mass += p;
          sum += p * rewards[a];
        }
      }
      for (int a = 0; a < V; ++a) {
        rewards[a] = a == 0 ? 0 : rewards[a] - sum / mass;
      }
    }
  }
  const double scale = options_.reward_std / exact(reference_).reward_std;
  for (double& reward : step_rewards_) {
    reward *= scale;
  }
}

Policy BigramWorld::policy(const std::vector<double>& state_logits,
                           const std::vector<double>& prompt_logits) const {
  const int V = options_.vocabulary;
  Policy made;
  made.logp.reserve(options_.prompts * (V + 1) * V);
  std::vector<double> logits(V);
  for (int x = 0; x < options_.prompts; ++x) {
    for (int s = 0; s <= V; ++s) {
      for (int a = 0; a < V; ++a) {
        logits[a] = state_logits[s * V + a] + prompt_logits[x * V + a];
      }
      const double total = log_sum_exp(logits.data(), V);
      for (int a = 0; a < V; ++a) {
        made.logp.push_back(logits[a] - total);
      }
    }
  }
  return made;
}

const double* BigramWorld::row(const Policy& policy, int position, int prompt, int state) const {
  const int V = options_.vocabulary;
  const int slice = options_.prompts * (V + 1) * V;
  const bool moves = static_cast<int>(policy.logp.size()) > slice;
  return policy.logp.data() + (moves ? position * slice : 0) + (prompt * (V + 1) + state) * V;
}

double BigramWorld::reward(const Completion& completion) const {
  double sum = 0;
  int state = start();
  for (const int token : completion.tokens) {
    sum += step_reward(state, token);
    state = token;
  }
  return sum;
}

double BigramWorld::logp(const Policy& policy, const Completion& completion) const {
  double sum = 0;
  int state = start();
  for (size_t t = 0; t < completion.tokens.size(); ++t) {
    sum += row(policy, static_cast<int>(t), completion.prompt, state)[completion.tokens[t]];
    state = completion.tokens[t];
  }
  return sum;
}

double BigramWorld::divergence(const Policy& policy, const Completion& completion) const {
  double sum = 0;
  int state = start();
  for (size_t t = 0; t < completion.tokens.size(); ++t) {
    const double* ours = row(policy, static_cast<int>(t), completion.prompt, state);
    const double* theirs = row(reference_, 0, completion.prompt, state);
    for (int a = 0; a < options_.vocabulary; ++a) {
      sum += std::exp(theirs[a]) * (theirs[a] - ours[a]);
    }
    state = completion.tokens[t];
  }
  return sum;
}

Completion BigramWorld::sample(const Policy& policy, int prompt, RandomStream& random) const {
  Completion made{.prompt = prompt};
  int state = start();
  for (int t = 0; t < options_.max_tokens; ++t) {
    const double* logp = row(policy, t, prompt, state);
    double left = random.uniform();
    int token = 0;
    while (token + 1 < options_.vocabulary && (left -= std::exp(logp[token])) >= 0) {
      ++token;
    }
    made.tokens.push_back(token);
    if (ends(token)) {
      break;
    }
    state = token;
  }
  return made;
}

Exact BigramWorld::exact(const Policy& policy) const {
  const int V = options_.vocabulary;
  // Of the completions that are in a state: their mass, and their reward so far to powers 1 and 2.
  struct Mass {
    double mass = 0, reward = 0, square = 0;
  };
  Exact mean;
  double variance = 0;
  for (int x = 0; x < options_.prompts; ++x) {
    std::vector<Mass> now(V + 1);
    now[start()].mass = 1;
    Mass done;
    for (int t = 0; t < options_.max_tokens; ++t) {
      std::vector<Mass> next(V + 1);
      for (int s = 0; s <= V; ++s) {
        if (now[s].mass == 0) {
          continue;
        }
        const double* ours = row(policy, t, x, s);
        const double* theirs = row(reference_, 0, x, s);
        for (int a = 0; a < V; ++a) {
          const double p = std::exp(ours[a]);
          const double r = step_reward(s, a);
          mean.kl += p * now[s].mass * (p > 0 ? ours[a] - theirs[a] : 0);
          mean.tokens += p * now[s].mass;
          Mass& to = ends(a) || t + 1 == options_.max_tokens ? done : next[a];
          to.mass += p * now[s].mass;
          to.reward += p * (now[s].reward + r * now[s].mass);
          to.square += p * (now[s].square + 2 * r * now[s].reward + r * r * now[s].mass);
        }
      }
      now = std::move(next);
    }
    mean.reward += done.reward;
    variance += done.square - done.reward * done.reward;
  }
  const double X = options_.prompts;
  return {.reward = mean.reward / X,
          .reward_std = std::sqrt(variance / X),
          .kl = mean.kl / X,
          .tokens = mean.tokens / X};
}

Policy BigramWorld::optimum(double beta) const {
  const int V = options_.vocabulary;
  const int slice = options_.prompts * (V + 1) * V;
  Policy best;
  best.logp.resize(slice * options_.max_tokens);
  for (int x = 0; x < options_.prompts; ++x) {
    std::vector<double> value(V + 1, 0);
    for (int t = options_.max_tokens - 1; t >= 0; --t) {
      std::vector<double> before(V + 1);
      for (int s = 0; s <= V; ++s) {
        double* q = best.logp.data() + t * slice + (x * (V + 1) + s) * V;
        for (int a = 0; a < V; ++a) {
          q[a] =
              row(reference_, 0, x, s)[a] + (step_reward(s, a) + (ends(a) ? 0 : value[a])) / beta;
        }
        const double total = log_sum_exp(q, V);
        for (int a = 0; a < V; ++a) {
          q[a] -= total;
        }
        before[s] = beta * total;
      }
      value = std::move(before);
    }
  }
  return best;
}

Frontier::Frontier(const BigramWorld& world) {
  const double start = world.exact(world.reference()).reward;
  points_.push_back({});
  for (double beta = 200; beta > 0.01; beta /= 1.15) {
    const Exact best = world.exact(world.optimum(beta));
    if (best.kl <= points_.back().kl + 1e-12) {
      break;  // as far as it goes
    }
    points_.push_back({best.kl, best.reward - start});
  }
}

double Frontier::gain_at(double kl) const {
  const auto right =
      std::upper_bound(points_.begin(), points_.end(), kl, [](double x, const Point& point) {
        return x < point.kl;
      });
  if (right == points_.end()) {
    return points_.back().gain;
  }
  const Point& a = *(right - 1);
  const Point& b = *right;
  const double share = (std::sqrt(kl) - std::sqrt(a.kl)) / (std::sqrt(b.kl) - std::sqrt(a.kl));
  return a.gain + share * (b.gain - a.gain);
}

}  // namespace attune::science
