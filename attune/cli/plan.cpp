// attune plan: memory and time of a run, before anything is loaded.
#include <string>

#include <fmt/format.h>

#include "attune/cli/engine_commands.h"
#include "attune/cli/run_line.h"
#include "attune/cli/run_terminal.h"
#include "attune/cli/terminal.h"
#include "attune/train/run_plan.h"

namespace attune::cli {
namespace {

void line(std::string_view name, const std::string& value) {
  fmt::print("{:<42}{}\n", name, value);
}

void print_memory(const train::RunPlan& plan) {
  fmt::print("\nmemory at the peak of a step\n");
  for (const train::MemoryPart& part : plan.memory) {
    if (part.bytes > 0) {
      fmt::print("  {:<40}{:>10}\n", part.name, size_text(part.bytes));
    }
  }
  fmt::print("  {:<40}{:>10}\n", "sum", size_text(plan.memory_bytes));
  fmt::print("  {:<40}{:>10}\n", "free on this machine", size_text(plan.machine.available_bytes));
  fmt::print("  {:<40}{:>10}\n", "this machine", size_text(plan.machine.memory_bytes));
}

void print_time(const train::RunPlan& plan) {
  fmt::print("\ntime\n");
  const auto row = [](const std::string& name, double seconds) {
    if (seconds > 0) {
      fmt::print("  {:<40}{:>10}\n", name, time_text(seconds));
    }
  };
  fmt::print("  {:<40}{:>8.2f} s\n", "a step", plan.step_s);
  const auto several = [](int64_t count, std::string_view what) {
    return fmt::format("{} {}{}", count_text(count), what, count == 1 ? "" : "s");
  };
  row(several(plan.steps, "step"), plan.training_s);
  row(several(plan.evaluations, "evaluation"), plan.evaluation_s);
  row("log-probs of the reference, once", plan.reference_s);
  row("sum", plan.total_s());
}

void print_plan(const train::RunPlan& plan) {
  line("model", plan.model);
  line("trains", plan.trained);
  line("reference", plan.reference);
  line("data",
       fmt::format("{}, {} held out{}",
                   items_text(plan.comparisons, plan.labels),
                   plan.labels + plan.held_out_labels == 0
                       ? count_text(plan.held_out)
                       : items_text(plan.held_out, plan.held_out_labels),
                   plan.data.truncated > 0
                       ? fmt::format(", {} rows cut", count_text(plan.data.truncated))
                       : ""));
  line("tokens of a step",
       fmt::format("{:.0f}, {:.0f} of them scored", plan.step_tokens, plan.step_scored));
  line("tokens at once",
       fmt::format("at most {}, the budget is {}",
                   count_text(plan.largest_tokens),
                   count_text(plan.batch_tokens)));
  if (plan.recompute) {
    line("backward pass", "runs each layer again, which keeps less");
  }
  print_memory(plan);
  print_time(plan);
  fmt::print(
      "\nTimes assume {:.0f} % of this machine's measured {} ({}, {} cores),\nwith nothing else "
      "running.\n",
      100 * plan.efficiency,
      rates_text(plan.rates),
      plan.gemm,
      plan.machine.cores);
}

void warn_of(const train::RunPlan& plan, Terminal& terminal) {
  for (const data::DropCount& drop : plan.data.dropped) {
    terminal.warn(fmt::format("dropped {} rows: {} (first: {})",
                              count_text(drop.rows),
                              drop.reason,
                              drop.examples.empty() ? "" : drop.examples[0]));
  }
  if (plan.memory_bytes > plan.machine.memory_bytes) {
    terminal.warn("the run does not fit into this machine");
  } else if (plan.memory_bytes > plan.machine.available_bytes) {
    terminal.warn("the run does not fit into what is free now");
  } else {
    return;
  }
  terminal.warn(
      "what takes less: batch.tokens or data.max_tokens lower, train.checkpointing: true, "
      "model.precision: bf16 with an adapter");
}

}  // namespace

int plan_command(Arguments arguments) {
  const std::optional<RunLine> asked = read_run_line(kPlanUsage, arguments);
  if (!asked) {
    return kGood;
  }
  train::check_run(asked->run);
  check_paths(asked->run);
  Terminal terminal(asked->log);
  const train::RunPlan plan = train::plan_run(asked->run, terminal);
  print_plan(plan);
  warn_of(plan, terminal);
  return kGood;
}

}  // namespace attune::cli
