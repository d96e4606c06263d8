#include "attune/cli/run_terminal.h"

#include <cmath>
#include <cstdio>

#include <fmt/format.h>

#include "attune/cli/command.h"
#include "attune/core/version.h"

namespace attune::cli {
namespace {

std::string million_text(int64_t count) {
  return fmt::format("{:.1f} M", static_cast<double>(count) / 1e6);
}

// The row's figures as one JSON object; what was not measured is null.
template <class Row>
void print_json(std::string_view event, const Row& row) {
  std::string text = fmt::format("{{\"event\": \"{}\", \"step\": {}", event, row.step);
  Row::each(row, [&](const char* key, const auto& value) {
    if constexpr (std::is_floating_point_v<std::remove_cvref_t<decltype(value)>>) {
      text += std::isfinite(value) ? fmt::format(", \"{}\": {}", key, value)
                                   : fmt::format(", \"{}\": null", key);
    } else {
      text += fmt::format(", \"{}\": {}", key, value);
    }
  });
  fmt::print(stderr, "{}}}\n", text);
}

}  // namespace

void RunTerminal::progress(std::string_view task, int64_t done, int64_t total) {
  out_.progress(task, done, total);
}

void RunTerminal::note(std::string_view line) {
  out_.note(line);
}

void RunTerminal::warn(std::string_view line) {
  out_.warn(line);
}

void RunTerminal::started(const train::RunStart& start) {
  const train::Machine& m = start.machine;
  note(fmt::format("attune {} on {}, {} cores, {}, LibTorch {}",
                   kVersion,
                   m.cpu,
                   m.cores,
                   m.instructions,
                   m.torch));
  note(fmt::format("model      {}", start.model));
  note(fmt::format("trains     {}: {} of {} numbers; reference: {}",
                   start.trained_what,
                   count_text(start.trained),
                   million_text(start.weights),
                   start.reference));
  note(fmt::format("data       {} rows, {} to train on, {} held out{}",
                   count_text(start.data.rows),
                   items_text(start.train_comparisons, start.train_labels),
                   start.train_labels + start.held_out_labels == 0
                       ? count_text(start.held_out_comparisons)
                       : items_text(start.held_out_comparisons, start.held_out_labels),
                   start.data.from_cache ? " (tokens from the cache)" : ""));
  for (const data::DropCount& drop : start.data.dropped) {
    warn(fmt::format("dropped {} rows: {} (first: {})",
                     count_text(drop.rows),
                     drop.reason,
                     drop.examples.empty() ? "" : drop.examples[0]));
  }
  if (start.data.truncated > 0) {
    warn(fmt::format("cut {} rows to fit data.max_tokens", count_text(start.data.truncated)));
  }
  note(fmt::format("compute    {} at {}; at most {} tokens at once{}; {} planned, {} free",
                   start.gemm,
                   rates_text(start.rates),
                   count_text(start.batch_tokens),
                   start.recompute ? ", layers recomputed" : "",
                   size_text(start.planned_bytes),
                   size_text(m.available_bytes)));
  if (start.planned_bytes > m.available_bytes) {
    warn(
        fmt::format("the plan is larger than the free memory; lower batch.tokens or "
                    "data.max_tokens{}",
                    start.recompute ? "" : ", or set train.checkpointing: true"));
  }
  for (const config::Difference& d : start.options) {
    note(fmt::format("option     {}: {}   (default {})", d.key, d.after, d.before));
  }
  if (start.first_step > 0) {
    note(fmt::format("goes on    from step {} of {}", start.first_step, start.steps));
  }
}

void RunTerminal::stepped(const report::StepRow& row, const train::StepClock& clock) {
  if (row.step % log_every_ == 0 || row.step == clock.steps) {
    if (kind_ == LogKind::kJson) {
      print_json("step", row);
    } else {
      note(
          fmt::format("step {:>{}} of {}  loss {:.4f}  accuracy {:.2f}  margin {:+.3f}  grad {:.2f}"
                      "  lr {:.2e}  {:.0f} tokens/s  {:.0f} % of limit  {} left",
                      row.step,
                      std::to_string(clock.steps).size(),
                      clock.steps,
                      row.loss,
                      row.accuracy,
                      row.margin,
                      row.grad_norm,
                      row.lr,
                      row.tokens_per_s,
                      100 * clock.share_of_limit,
                      time_text(clock.seconds_left)));
    }
  }
}

void RunTerminal::evaluated(const report::EvalRow& row) {
  if (kind_ == LogKind::kJson) {
    print_json("evaluation", row);
    return;
  }
  note(fmt::format(
      "held out after step {}: loss {:.4f}  accuracy {:.3f}  margin {:+.3f}  ({} pairs)",
      row.step,
      row.loss,
      row.accuracy,
      row.margin,
      row.comparisons));
}

void RunTerminal::saved(const std::filesystem::path& checkpoint) {
  if (kind_ == LogKind::kJson) {
    fmt::print(
        stderr, "{{\"event\": \"checkpoint\", \"path\": {}}}\n", json_text(checkpoint.string()));
  }
}

std::string rates_text(const train::Rates& rates) {
  return rates.forward == rates.backward
             ? fmt::format("{:.0f} GFLOP/s", rates.forward)
             : fmt::format(
                   "{:.0f} GFLOP/s forward, {:.0f} backward", rates.forward, rates.backward);
}

int print_result(const train::RunResult& result, const std::string& again) {
  if (result.ending == train::Ending::kStopped) {
    if (result.saved) {
      fmt::print("stopped after step {} of {}; everything is saved. To go on:\n  {}\n",
                 result.step,
                 result.steps,
                 again);
    } else {
      fmt::print("stopped before the first step. To begin again:\n  {}\n", again);
    }
    return kStopped;
  }
  if (result.ending == train::Ending::kAlreadyFinished) {
    fmt::print("this run is already finished (step {} of {}).\n", result.step, result.steps);
  } else {
    fmt::print("{} in {}, peak memory {}\n",
               result.page.status,
               time_text(result.seconds),
               size_text(result.peak_bytes));
  }
  if (result.page.accuracy_before && result.page.accuracy_after) {
    const auto percent = [](const report::Interval& i) {
      return fmt::format("{:.1f} % [{:.1f}, {:.1f}]", 100 * i.estimate, 100 * i.low, 100 * i.high);
    };
    fmt::print("held-out reward accuracy: {} before, {} after (95 % intervals, ties count half)\n",
               percent(*result.page.accuracy_before),
               percent(*result.page.accuracy_after));
  }
  for (const std::string& warning : result.page.warnings) {
    fmt::print("note: {}\n", warning);
  }
  fmt::print("result: {}\n", result.result.string());
  if (!result.report.empty()) {
    fmt::print("report: {}\n", result.report.string());
  }
  fmt::print("go on with:\n");
  for (const std::string& command : result.page.next_commands) {
    fmt::print("  {}\n", command);
  }
  return kGood;
}

}  // namespace attune::cli
