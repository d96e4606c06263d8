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

// How long it took, and how much of it until texts had their first token.
class Clock {
 public:
  explicit Clock(size_t texts) : begun_(texts, false) {}

  /// A token of text i came.
  void token(size_t i) {
    const double now = seconds();
    prompt_s_ += begun_[i] ? 0 : now - last_s_;
    first_s_ = last_s_ == 0 ? now : first_s_;
    begun_[i] = true;
    last_s_ = now;
  }
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  /// Of it, spent on what ended with a text's first token: its prompt.
  [[nodiscard]] double prompt_seconds() const {
    return prompt_s_;
  }
  [[nodiscard]] double first_token_seconds() const {
    return first_s_;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::vector<bool> begun_;
  double last_s_ = 0;
  double first_s_ = 0;
  double prompt_s_ = 0;
};

void tell_summary(size_t answers,
                  size_t rows,
                  int64_t tokens,
                  const Clock& clock,
                  LogKind log,
                  Terminal& terminal) {
  if (log == LogKind::kJson) {
    Json out;
    out["event"] = "summary";
    out["prompts"] = rows;
    out["answers"] = answers;
    out["tokens"] = tokens;
    out["seconds"] = clock.seconds();
    out["prompt_seconds"] = clock.prompt_seconds();
    out["first_token_seconds"] = clock.first_token_seconds();
    out["stopped"] = answers < rows;
    put(stderr, out.dump() + "\n");
    return;
  }
  if (answers < rows) {
    terminal.warn(fmt::format("stopped: these are {} answers of {}",
                              count_text(static_cast<int64_t>(answers)),
                              count_text(static_cast<int64_t>(rows))));
  }
  terminal.note(fmt::format("{} answers, {} tokens in {:.1f} s: {:.1f} tokens/s",
                            count_text(static_cast<int64_t>(answers)),
                            count_text(tokens),
                            clock.seconds(),
                            static_cast<double>(tokens) / std::max(clock.seconds(), 1e-9)));
}

}  // namespace

int answer_file(const std::string& model_path,
                const WriterOptions& writer,
                const PromptOptions& prompt,
                const generate::GenerateOptions& options,
                LogKind log) {
  Terminal terminal(log);
  check_path("--prompts", prompt.prompts);
  check_output(prompt.output, {model_path, writer.adapter}, {prompt.prompts}, "answers");
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
  // On a terminal the lines themselves show how far it is.
  const bool shows = !prompt.output.empty() || ::isatty(STDOUT_FILENO) == 0;
  int64_t done = 0;
  int64_t made = 0;
  const auto tell = [&] {
    if (shows) {
      terminal.progress("writing tokens", done, total);
    }
  };
  tell();
  Clock clock(rows.size());
  model->generate(
      ids,
      options,
      [&](size_t i, const std::string&) {
        clock.token(i);
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
  answers.finish();
  tell_summary(answers.count(), rows.size(), made, clock, log, terminal);
  return stop_requested() ? kStopped : kGood;
}

}  // namespace attune::cli
