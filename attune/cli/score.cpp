// attune score: log-probs and implicit rewards, row by row.
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "attune/cli/command_line.h"
#include "attune/cli/engine_commands.h"
#include "attune/cli/line_writer.h"
#include "attune/cli/run_line.h"
#include "attune/core/error.h"
#include "attune/core/stop.h"
#include "attune/train/scoring.h"

namespace attune::cli {
namespace {

using Json = nlohmann::ordered_json;
using train::ScoredRow;
using train::ScoringSummary;

constexpr Usage kUsage{
    .name = "score",
    .synopsis = "MODEL PAIRS...",
    .about =
        "Writes one JSON object a row to stdout: the log-prob of each completion, with an adapter "
        "or a reference also the reference's log-prob and the implicit reward, and the margin of "
        "each comparison. At the end the accuracy over all rows, on stderr. With --adapter the "
        "reference is MODEL without it.",
    .examples =
        "attune score model.gguf pairs.jsonl --adapter=out/adapter > scores.jsonl\n"
        "attune score model/ pairs.jsonl --reference=older-model/ --beta=0.05\n"
        "attune score model.gguf pairs.jsonl --columns.prompt=question",
    .least = 2,
    .most = 100'000};

struct ScoreOptions {
  std::string adapter;
  std::string reference;
  double beta = 0.1;
  std::string output;
  std::string precision = "f32";
  std::string chat_template = "auto";
  int64_t batch_tokens = 2048;
  int64_t threads = 0;

  template <class Visitor>
  void fields(Visitor&& field) {
    field("adapter", adapter, {.help = "PEFT adapter folder; its base is the reference"});
    field("reference", reference, {.help = "another model as the reference"});
    field("beta", beta, {.help = "factor of the implicit rewards", .above = 0});
    field("output", output, {.help = "file to write instead of stdout"});
    field("precision",
          precision,
          {.help = "how weights are kept in memory", .one_of = {"f32", "bf16"}});
    field("chat_template",
          chat_template,
          {.help = "auto (what the model brings) or a name, for instance chatml"});
    field("batch_tokens",
          batch_tokens,
          {.help = "packed tokens that go through the model at once", .at_least = 1});
    field("threads", threads, {.help = "CPU threads; 0 is all", .at_least = 0, .at_most = 1024});
  }
};

// The options of a run file's data section that have a meaning here, under their own names.
struct RowOptions {
  data::DataOptions data;

  template <class Visitor>
  void fields(Visitor&& field) {
    data.fields([&](std::string_view name, auto& member, const Field& about) {
      if (name != "train" && name != "shuffle" && !name.starts_with("held_out")) {
        field(name, member, about);
      }
    });
  }
};

std::string line_of(const ScoredRow& row) {
  Json completions = Json::array();
  for (const train::ScoredCompletion& completion : row.completions) {
    Json& one = completions.emplace_back();
    one["logps"] = completion.logps;
    one["tokens"] = completion.tokens;
    if (completion.reference_logps) {
      one["reference_logps"] = *completion.reference_logps;
      one["reward"] = *completion.reward;
    }
  }
  Json comparisons = Json::array();
  for (const train::ScoredComparison& comparison : row.comparisons) {
    Json& one = comparisons.emplace_back();
    one["winner"] = comparison.winner;
    one["loser"] = comparison.loser;
    if (comparison.margin) {
      one["margin"] = *comparison.margin;
    }
    one["logps_margin"] = comparison.logps_margin;
    one["mean_logps_margin"] = comparison.mean_logps_margin;
  }
  Json line;
  line["row"] = row.where;
  line["prompt_tokens"] = row.prompt_tokens;
  line["completions"] = std::move(completions);
  line["comparisons"] = std::move(comparisons);
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void tell_rows(const data::BuildReport& report, Terminal& terminal) {
  for (const data::DropCount& drop : report.dropped) {
    terminal.warn(fmt::format("dropped {} rows: {} (first: {})",
                              count_text(drop.rows),
                              drop.reason,
                              drop.examples.empty() ? "" : drop.examples[0]));
  }
  if (report.truncated > 0) {
    terminal.warn(fmt::format("cut {} rows to fit max_tokens", count_text(report.truncated)));
  }
}

Json interval_json(const std::optional<report::Interval>& share) {
  return share ? Json{{"estimate", share->estimate}, {"low", share->low}, {"high", share->high}}
               : Json(nullptr);
}

void print_summary_json(const ScoringSummary& summary) {
  Json out;
  out["event"] = "summary";
  out["rows"] = summary.rows;
  out["completions"] = summary.completions;
  out["comparisons"] = summary.comparisons;
  out["tokens"] = summary.tokens;
  out["accuracy"] = interval_json(summary.accuracy);
  out["logps_accuracy"] = interval_json(summary.logps_accuracy);
  out["mean_logps_accuracy"] = interval_json(summary.mean_logps_accuracy);
  out["mean_margin"] = summary.accuracy ? Json(summary.mean_margin) : Json(nullptr);
  out["dropped"] = Json::array();
  for (const data::DropCount& drop : summary.data.dropped) {
    out["dropped"].push_back(
        {{"reason", drop.reason}, {"rows", drop.rows}, {"examples", drop.examples}});
  }
  out["truncated"] = summary.data.truncated;
  out["seconds"] = summary.seconds;
  out["stopped"] = summary.stopped;
  put(stderr, out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void tell_summary(const ScoringSummary& summary, Terminal& terminal) {
  terminal.note(fmt::format("{} rows, {} completions, {} comparisons; {:.0f} tokens/s",
                            count_text(summary.rows),
                            count_text(summary.completions),
                            count_text(summary.comparisons),
                            static_cast<double>(summary.tokens) / std::max(summary.seconds, 1e-9)));
  const auto tell = [&](std::string_view by, const std::optional<report::Interval>& share) {
    if (share) {
      terminal.note(fmt::format("accuracy by {}: {:.1f} % [{:.1f}, {:.1f}]",
                                by,
                                100 * share->estimate,
                                100 * share->low,
                                100 * share->high));
    }
  };
  tell("reward", summary.accuracy);
  tell("log-prob", summary.logps_accuracy);
  tell("log-prob per token", summary.mean_logps_accuracy);
  if (summary.accuracy) {
    terminal.note(fmt::format("mean margin {:+.4f}", summary.mean_margin));
  }
  if (summary.comparisons > 0) {
    terminal.note("95 % intervals; ties count half");
  }
}

}  // namespace

int score_command(Arguments arguments) {
  ScoreOptions options;
  RowOptions rows;
  CommandLine line(kUsage);
  line.add(options);
  line.add(rows);
  if (!line.parse(arguments)) {
    return kGood;
  }
  train::ScoringOptions scoring{
      .model = {.path = line.positional(0),
                .precision = options.precision,
                .chat_template = options.chat_template},
      .adapter = options.adapter,
      .reference = options.reference,
      .beta = options.beta,
      .max_tokens = options.batch_tokens,
      .threads = options.threads,
      .data = rows.data,
      .files = {line.positionals().begin() + 1, line.positionals().end()}};
  check_path("model", line.positional(0));
  check_path("--adapter", options.adapter);
  check_path("--reference", options.reference);
  for (const std::string& file : scoring.files) {
    check_path("rows", file);
  }
  check_output(options.output,
               {line.positional(0), options.adapter, options.reference},
               scoring.files,
               "scores");
  catch_stop_signals();
  Terminal terminal(line.log());
  std::unique_ptr<LineWriter> out;  // made with the first row, so that an error leaves no file
  const ScoringSummary summary = train::score_files(
      scoring,
      [&](const ScoredRow& row) {
        if (!out) {
          out = std::make_unique<LineWriter>(options.output);
        }
        out->write(line_of(row));
      },
      terminal);
  if (out) {
    out->finish();
  }
  if (summary.stopped) {
    terminal.warn(fmt::format("stopped: these are the first {} rows of {}",
                              count_text(summary.rows),
                              count_text(summary.all_rows)));
  }
  tell_rows(summary.data, terminal);
  if (line.log() == LogKind::kJson) {
    print_summary_json(summary);
  } else {
    tell_summary(summary, terminal);
  }
  return summary.stopped ? kStopped : kGood;
}

}  // namespace attune::cli
