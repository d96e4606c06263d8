#include "attune/nn/attention_panels.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>

#include "attune/nn/attention_lines.h"
#include "attune/nn/attention_shared.h"

namespace attune::nn {
namespace {

constexpr int64_t kPanel = kPanelTokens;
constexpr int64_t kSquare = kPanel * kPanel;
using Narrow = std::vector<uint16_t>;
// Heads of one key/value head are taken together while their scores stay in the cache.
constexpr int64_t kFewPanels = 8;

int64_t padded(int64_t count) {
  constexpr int64_t kStep = 16;
  return (count + kStep - 1) / kStep * kStep;
}

// c[m, n] (+)= a[m, k] b[k, n], row-major.
void multiply(int64_t m,
              int64_t n,
              int64_t k,
              const float* a,
              int64_t lda,
              const float* b,
              int64_t ldb,
              float* c,
              int64_t ldc,
              bool add) {
  at::native::cpublas::brgemm(m, n, k, lda, ldb, ldc, add, a, b, c, /*is_vnni=*/false);
}

// The same of bf16 numbers, b in pairs of its rows: [k / 2][n][2].
void multiply(int64_t m,
              int64_t n,
              int64_t k,
              const uint16_t* a,
              int64_t lda,
              const uint16_t* b,
              float* c,
              bool add) {
  at::native::cpublas::brgemm(m,
                              n,
                              k,
                              lda,
                              n,
                              n,
                              add,
                              reinterpret_cast<const at::BFloat16*>(a),
                              reinterpret_cast<const at::BFloat16*>(b),
                              c,
                              /*is_vnni=*/true);
}

using Numbers = std::vector<float>;

template <class Number>
void grow(std::vector<Number>& numbers, int64_t size) {
  if (static_cast<int64_t>(numbers.size()) < size) {
    numbers.resize(static_cast<size_t>(size));
  }
}

// What one thread needs for one key/value head of one family.
struct Scratch {
  Numbers k, k_turned, v, v_turned, dk, dv;  // panels [64][E], turned [E][64]
  Numbers q, dout, out;                      // [heads 64][E] of the block in work
  Numbers p, ds;                             // panels [heads 64 queries][64 keys]
  Numbers turned;                            // [64 keys][heads 64 queries]
  Narrow k_pairs, q_pairs, dout_pairs;       // rows in pairs: [..][E][2]
  Narrow narrow, narrow_turned;              // p or ds of a panel, as it is and turned
  Numbers lse, own;                          // [heads 64]; own: a number of each row
  std::vector<ScorePiece> pieces;            // of the block in work
  std::vector<int64_t> first_panel;          // of each segment of the family
};

Scratch& scratch() {
  thread_local Scratch scratch;
  return scratch;
}

// Query heads of a key/value head.
struct Heads {
  int64_t first = 0;
  int64_t count = 0;
};

// A family's panels of one key/value head, and blocks of queries that meet them.
class Panels {
 public:
  Panels(const AttentionInput<float>& in,
         const AttentionFamily& family,
         int64_t kv_head,
         bool backward,
         bool narrow)
      : in_(in),
        segments_(family.segments),
        shared_(family.shared),
        g_(kv_head),
        narrow_(narrow && in.E % 2 == 0),
        own_(scratch()) {
    own_.first_panel.clear();
    int64_t panels = 0;
    for (const FamilySegment& segment : segments_) {
      own_.first_panel.push_back(panels);
      panels += (segment.end - segment.begin + kPanel - 1) / kPanel;
    }
    const int64_t size = panels * kPanel * in.E;
    for (Numbers* numbers : {&own_.k_turned, &own_.v}) {
      grow(*numbers, size);
    }
    fill(in.k, backward ? &own_.k : nullptr, &own_.k_turned);
    fill(in.v, &own_.v, backward ? &own_.v_turned : nullptr);
    if (backward) {
      for (Numbers* numbers : {&own_.dk, &own_.dv}) {
        grow(*numbers, size);
        std::fill_n(numbers->begin(), size, 0.0F);
      }
    }
    const int64_t rows = in.H / in.G * kPanel;
    if (narrow_) {
      grow(own_.k_pairs, size);
      pack_pairs(own_.k.data(), panels * kPanel, in.E, own_.k_pairs.data());
      for (Narrow* numbers : {&own_.q_pairs, &own_.dout_pairs}) {
        grow(*numbers, rows * in.E);
      }
      for (Narrow* numbers : {&own_.narrow, &own_.narrow_turned}) {
        grow(*numbers, rows * kPanel);
      }
    }
    for (Numbers* numbers : {&own_.q, &own_.dout, &own_.out}) {
      grow(*numbers, rows * in.E);
    }
    for (Numbers* numbers : {&own_.lse, &own_.own}) {
      grow(*numbers, rows);
    }
    grow(own_.turned, rows * kPanel);
  }

  /// For query heads [first, first + heads) of the key/value head.
  void attend(const QueryBlock& block, Heads heads, const AttentionOutput<float>& to) {
    const int64_t M = begin(block, heads);
    load(in_.q, block, heads, scale(), own_.q);
    score(block, own_.q, own_.k_turned, own_.p, M);
    softmax_rows(
        own_.pieces, heads.count, queries_, own_.p.data(), own_.lse.data(), own_.own.data());
    mix(block, own_.p, own_.v, M);
    each_row(block, heads, [&](int64_t row, int64_t token, int64_t h) {
      const auto r = static_cast<size_t>(row);
      to.lse[token * in_.H + h] = own_.lse[r];
      put_scaled(own_.out.data() + row * in_.E, own_.own[r], in_.E, to.out + place(token, h));
    });
  }

  void attend_backward(const QueryBlock& block, Heads heads, const AttentionSlopes<float>& slopes) {
    const int64_t M = begin(block, heads);
    load(in_.q, block, heads, scale(), own_.q);
    load(slopes.dout, block, heads, 1.0F, own_.dout);
    score(block, own_.q, own_.k_turned, own_.p, M);
    score(block, own_.dout, own_.v_turned, own_.ds, M);
    each_row(block, heads, [&](int64_t row, int64_t token, int64_t h) {
      const auto r = static_cast<size_t>(row);
      own_.own[r] = dot(own_.dout.data() + row * in_.E, slopes.out + place(token, h), in_.E);
      own_.lse[r] = slopes.lse[token * in_.H + h];
    });
    softmax_slope_rows(own_.pieces,
                       heads.count,
                       queries_,
                       own_.lse.data(),
                       own_.own.data(),
                       own_.p.data(),
                       own_.ds.data());
    if (narrow_) {
      slopes_of_rounded(block, M);
    } else {
      each_panel(block, [&](int64_t i, int64_t panel, int64_t keys) {
        spread(own_.p, i, own_.dout, M, keys, own_.dv.data() + panel * kPanel * in_.E);
        spread(own_.ds, i, own_.q, M, keys, own_.dk.data() + panel * kPanel * in_.E);
      });
      mix(block, own_.ds, own_.k, M);
    }
    each_row(block, heads, [&](int64_t row, int64_t token, int64_t h) {
      put_scaled(own_.out.data() + row * in_.E, scale(), in_.E, slopes.dq + place(token, h));
    });
  }

  /// Adds the slopes of the family's own keys and values to where these stand, and puts those of
  /// those that it shares into `dk` and `dv`, [shared tokens, E].
  void store_slopes(const AttentionSlopes<float>& slopes, float* dk, float* dv) const {
    int64_t place = 0;
    each_token(0, shared_, [&](int64_t, int64_t slot) {
      std::copy_n(own_.dk.data() + slot * in_.E, in_.E, dk + place * in_.E);
      std::copy_n(own_.dv.data() + slot * in_.E, in_.E, dv + place * in_.E);
      ++place;
    });
    each_token(shared_, segments_.size(), [&](int64_t token, int64_t slot) {
      const int64_t to = (token * in_.G + g_) * in_.E;
      add(own_.dk.data() + slot * in_.E, in_.E, slopes.dk + to);
      add(own_.dv.data() + slot * in_.E, in_.E, slopes.dv + to);
    });
  }

 private:
  [[nodiscard]] float scale() const {
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(in_.E)));
  }
  [[nodiscard]] int64_t place(int64_t token, int64_t h) const {
    return (token * in_.H + h) * in_.E;
  }

  // body(token, its place in the panels) for those of segments [first, last)
  template <class Body>
  void each_token(size_t first, size_t last, Body&& body) const {
    for (size_t s = first; s < last; ++s) {
      for (int64_t t = segments_[s].begin; t < segments_[s].end; ++t) {
        body(t, own_.first_panel[s] * kPanel + t - segments_[s].begin);
      }
    }
  }

  // Panels of x [N, G, E], plain, turned, or both; behind a segment's end are zeros.
  void fill(const float* x, Numbers* plain, Numbers* turned) {
    const int64_t E = in_.E;
    Numbers& panels = plain != nullptr ? *plain : own_.v;  // v is filled after the keys
    for (size_t s = 0; s < segments_.size(); ++s) {
      const auto [begin, end] = segments_[s];
      for (int64_t at = begin; at < end; at += kPanel) {
        const int64_t panel = own_.first_panel[s] + (at - begin) / kPanel;
        const int64_t count = std::min(kPanel, end - at);
        grow(panels, (panel + 1) * kPanel * E);
        float* const to = panels.data() + panel * kPanel * E;
        for (int64_t t = 0; t < count; ++t) {
          std::copy_n(x + ((at + t) * in_.G + g_) * E, E, to + t * E);
        }
        std::fill(to + count * E, to + kPanel * E, 0.0F);
        if (turned != nullptr) {
          grow(*turned, (panel + 1) * kPanel * E);
          turn_panel(to, turned->data() + panel * kPanel * E);
        }
      }
    }
  }

  // to[E][64] = from[64][E]^T
  void turn_panel(const float* from, float* to) const {
    if (in_.E == kPanel) {
      turn_square(from, to, kPanel);
      return;
    }
    for (int64_t t = 0; t < kPanel; ++t) {
      for (int64_t e = 0; e < in_.E; ++e) {
        to[e * kPanel + t] = from[t * in_.E + e];
      }
    }
  }

  // Sets what the block's rows are; returns their number, rounded up.
  int64_t begin(const QueryBlock& block, Heads heads) {
    queries_ = block.end - block.begin;
    panel_size_ = heads.count * kSquare;
    own_.pieces.clear();
    for (const KeyBlock& keys : block.keys) {
      // The last keys are the segment's own up to the block's end.
      const bool own = &keys == &block.keys.back();
      for (int64_t k = keys.begin; k < keys.end; k += kPanel) {
        const int64_t count = std::min(kPanel, keys.end - k);
        own_.pieces.push_back({.offset = static_cast<int64_t>(own_.pieces.size()) * panel_size_,
                               .first = own ? k - block.begin : -kPanel,
                               .keys = count,
                               .width = padded(count)});
      }
    }
    return padded(heads.count * queries_);
  }

  // body(row, token, query head)
  template <class Body>
  void each_row(const QueryBlock& block, Heads heads, Body&& body) const {
    const int64_t first = g_ * (in_.H / in_.G) + heads.first;
    for (int64_t h = 0; h < heads.count; ++h) {
      for (int64_t r = 0; r < queries_; ++r) {
        body(h * queries_ + r, block.begin + r, first + h);
      }
    }
  }

  // The block's rows of x [N, H, E], scaled; zeros behind them up to a padded count.
  void load(const float* x, const QueryBlock& block, Heads heads, float factor, Numbers& to) const {
    each_row(block, heads, [&](int64_t row, int64_t token, int64_t h) {
      put_scaled(x + place(token, h), factor, in_.E, to.data() + row * in_.E);
    });
    const int64_t rows = heads.count * queries_;
    std::fill(to.data() + rows * in_.E, to.data() + padded(rows) * in_.E, 0.0F);
  }

  // body(which panel of the block's, which of the family's, keys in it)
  template <class Body>
  void each_panel(const QueryBlock& block, Body&& body) const {
    int64_t i = 0;
    for (const KeyBlock& keys : block.keys) {
      const auto at = std::ranges::lower_bound(segments_, keys.begin, {}, &FamilySegment::begin);
      const int64_t first = own_.first_panel[static_cast<size_t>(at - segments_.begin())];
      for (int64_t k = keys.begin; k < keys.end; k += kPanel) {
        body(i, first + (k - keys.begin) / kPanel, std::min(kPanel, keys.end - k));
        ++i;
      }
    }
  }

  void score(
      const QueryBlock& block, const Numbers& x, const Numbers& turned, Numbers& to, int64_t M) {
    each_panel(block, [&](int64_t i, int64_t panel, int64_t keys) {
      grow(to, (i + 1) * panel_size_);
      multiply(M,
               padded(keys),
               in_.E,
               x.data(),
               in_.E,
               turned.data() + panel * kPanel * in_.E,
               kPanel,
               to.data() + i * panel_size_,
               kPanel,
               /*add=*/false);
    });
  }

  // own_.out = weights y
  void mix(const QueryBlock& block, const Numbers& weights, const Numbers& y, int64_t M) {
    each_panel(block, [&](int64_t i, int64_t panel, int64_t keys) {
      multiply(M,
               in_.E,
               padded(keys),
               weights.data() + i * panel_size_,
               kPanel,
               y.data() + panel * kPanel * in_.E,
               in_.E,
               own_.out.data(),
               in_.E,
               /*add=*/i > 0);
    });
  }

  // to[keys][E] += weights^T x
  void spread(
      const Numbers& weights, int64_t i, const Numbers& x, int64_t M, int64_t keys, float* to) {
    const int64_t stride = panel_size_ / kPanel;
    for (int64_t m = 0; m < M; m += kPanel) {
      turn_square(weights.data() + i * panel_size_ + m * kPanel, own_.turned.data() + m, stride);
    }
    multiply(padded(keys),
             in_.E,
             M,
             own_.turned.data(),
             stride,
             x.data(),
             in_.E,
             to,
             in_.E,
             /*add=*/true);
  }

  // The three products behind the slopes of the scores, which are exact so far, of rounded numbers:
  // dv += p^T dout, dk += ds^T q, own_.out = ds k.
  void slopes_of_rounded(const QueryBlock& block, int64_t M) {
    const int64_t E = in_.E;
    const int64_t stride = panel_size_ / kPanel;
    pack_pairs(own_.dout.data(), M, E, own_.dout_pairs.data());
    pack_pairs(own_.q.data(), M, E, own_.q_pairs.data());
    const auto add_turned =
        [&](const Numbers& weights, int64_t i, int64_t keys, const Narrow& pairs, float* to) {
          narrow_panel(weights.data() + i * panel_size_,
                       M,
                       stride,
                       own_.narrow.data(),
                       own_.narrow_turned.data());
          multiply(padded(keys), E, M, own_.narrow_turned.data(), stride, pairs.data(), to, true);
        };
    each_panel(block, [&](int64_t i, int64_t panel, int64_t keys) {
      const int64_t at = panel * kPanel * E;
      add_turned(own_.p, i, keys, own_.dout_pairs, own_.dv.data() + at);
      add_turned(own_.ds, i, keys, own_.q_pairs, own_.dk.data() + at);
      multiply(M,
               E,
               padded(keys),
               own_.narrow.data(),
               kPanel,
               own_.k_pairs.data() + at,
               own_.out.data(),
               /*add=*/i > 0);
    });
  }

  const AttentionInput<float>& in_;
  const std::vector<FamilySegment>& segments_;
  size_t shared_;
  int64_t g_;
  bool narrow_;
  int64_t queries_ = 0;     // of the block in work
  int64_t panel_size_ = 0;  // numbers of a panel of its scores
  Scratch& own_;
};

// body(panels, block, query heads) for all, each thread the longest task that is left; done(panels,
// task) after a task's last.
template <class Body, class Done>
void each_block(const AttentionInput<float>& in,
                const AttentionPlan& plan,
                bool backward,
                bool narrow,
                Body&& body,
                Done&& done) {
  const int64_t heads = in.H / in.G;
  const auto tasks = static_cast<int64_t>(plan.tasks.size());
  std::atomic<int64_t> next = 0;
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    for (int64_t t = next++; t < tasks; t = next++) {
      const AttentionTask& task = plan.tasks[static_cast<size_t>(t)];
      const AttentionFamily& family = plan.families[task.family];
      Panels panels(in, family, task.kv_head, backward, narrow);
      for (const QueryBlock& block : family.blocks) {
        const int64_t count = block.width <= kFewPanels * kPanel ? heads : 1;
        for (int64_t h = 0; h < heads; h += count) {
          body(panels, block, Heads{h, count});
        }
      }
      done(panels, task);
    }
    if (narrow) {
      at::native::cpublas::brgemm_release();
    }
  });
}

}  // namespace

void attend_by_panels(const AttentionInput<float>& in,
                      const AttentionPlan& plan,
                      const AttentionOutput<float>& to) {
  each_block(
      in,
      plan,
      /*backward=*/false,
      /*narrow=*/false,
      [&](Panels& panels, const QueryBlock& block, Heads heads) {
        panels.attend(block, heads, to);
      },
      [](Panels&, const AttentionTask&) {});
}

void attend_backward_by_panels(const AttentionInput<float>& in,
                               const AttentionPlan& plan,
                               const AttentionSlopes<float>& slopes,
                               bool narrow) {
  // Families add to what they share one after the other, when all are done.
  const SharedSlopes shared(in, plan);
  each_block(
      in,
      plan,
      /*backward=*/true,
      narrow,
      [&](Panels& panels, const QueryBlock& block, Heads heads) {
        panels.attend_backward(block, heads, slopes);
      },
      [&](Panels& panels, const AttentionTask& task) {
        panels.store_slopes(slopes,
                            shared.keys(task.family, task.kv_head),
                            shared.values(task.family, task.kv_head));
      });
  shared.add_to(slopes);
}

}  // namespace attune::nn
