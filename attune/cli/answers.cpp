#include "attune/cli/answers.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "attune/cli/command.h"
#include "attune/cli/line_writer.h"
#include "attune/cli/run_line.h"
#include "attune/core/error.h"
#include "attune/core/stop.h"

namespace attune::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string line_of(const data::PromptRow& row, const generate::Generation& answer) {
  Json line;
  line["row"] = row.where;
  if (row.prompt.is_turns) {
    line["prompt"] = Json::array();
    for (const text::Message& turn : row.prompt.turns) {
      line["prompt"].push_back(Json{{"role", turn.role}, {"content", turn.content}});
    }
  } else {
    line["prompt"] = row.prompt.plain;
  }
  line["text"] = answer.text;
  line["tokens"] = answer.ids.size();
  line["ended"] = answer.ended;
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// Writes answers in the order of the file, each as soon as those before it are there.
class AnswerWriter {
 public:
  AnswerWriter(const std::vector<data::PromptRow>& rows, const std::string& output)
      : rows_(rows), lines_(rows.size()), out_(output) {}

  void take(size_t i, const generate::Generation& answer) {
    ++count_;
    lines_[i] = line_of(rows_[i], answer);
    for (; next_ < lines_.size() && !lines_[next_].empty(); ++next_) {
      out_.write(lines_[next_]);
      lines_[next_].clear();
      lines_[next_].shrink_to_fit();
    }
  }
  void finish() {
    for (; next_ < lines_.size(); ++next_) {
      if (!lines_[next_].empty()) {
        out_.write(lines_[next_]);
      }
    }
    out_.finish();
  }
  [[nodiscard]] size_t count() const {
    return count_;
  }

 private:
  const std::vector<data::PromptRow>& rows_;
  std::vector<std::string> lines_;  // that wait for one before them
  size_t next_ = 0;
  size_t count_ = 0;
  LineWriter out_;
};

}  // namespace

int answer_file(const std::string& model_path,
                const WriterOptions& writer,
                const PromptOptions& prompt,
                const generate::GenerateOptions& options,
                Terminal& terminal) {
  check_path("--prompts", prompt.prompts);
  check_output(prompt.output, {prompt.prompts}, "answers");
  const std::vector<data::PromptRow> rows = data::read_prompts(prompt.prompts);
  const auto model = open_writer(model_path, writer);
  const Prompter prompter(*model, writer, prompt.plain);
  std::vector<std::vector<int32_t>> ids;
  std::vector<int64_t> expected;  // tokens that an answer may still take
  int64_t total = 0;
  for (const data::PromptRow& row : rows) {
    ids.push_back(prompter.ids_of(row));
    const int64_t room = model->max_tokens() - static_cast<int64_t>(ids.back().size());
    expected.push_back(std::min(room, options.max_new_tokens));
    total += expected.back();
  }
  AnswerWriter answers(rows, prompt.output);
  // Lines on a terminal show the progress themselves.
  const bool shows = !prompt.output.empty() || ::isatty(STDOUT_FILENO) == 0;
  int64_t done = 0;
  int64_t made = 0;
  const auto tell = [&] {
    if (shows) {
      terminal.progress("writing tokens", done, total);
    }
  };
  tell();
  const auto start = std::chrono::steady_clock::now();
  model->generate(
      ids,
      options,
      [&](size_t i, const std::string&) {
        if (expected[i] > 0) {
          --expected[i];
          ++done;
          tell();
        }
        return true;
      },
      {.batch = prompt.batch, .on_done = [&](size_t i, const generate::Generation& answer) {
         answers.take(i, answer);
         made += static_cast<int64_t>(answer.ids.size());
         done += expected[i];  // what it did not take
         tell();
       }});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  answers.finish();
  if (answers.count() < rows.size()) {
    terminal.warn(fmt::format("stopped: these are {} answers of {}",
                              count_text(static_cast<int64_t>(answers.count())),
                              count_text(static_cast<int64_t>(rows.size()))));
  }
  terminal.note(fmt::format("{} answers, {} tokens in {:.1f} s: {:.1f} tokens/s",
                            count_text(static_cast<int64_t>(answers.count())),
                            count_text(made),
                            took.count(),
                            static_cast<double>(made) / std::max(took.count(), 1e-9)));
  return stop_requested() ? kStopped : kGood;
}

}  // namespace attune::cli
