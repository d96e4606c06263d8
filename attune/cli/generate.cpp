// attune generate and attune chat: text from a model, to the terminal as it is made.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "attune/cli/answers.h"
#include "attune/cli/command_line.h"
#include "attune/cli/engine_commands.h"
#include "attune/cli/writer.h"
#include "attune/core/error.h"
#include "attune/core/stop.h"
#include "attune/generate/language_model.h"
#include "attune/text/unicode.h"

namespace attune::cli {
namespace {

constexpr Usage kGenerateUsage{
    .name = "generate",
    .synopsis = "MODEL [PROMPT]",
    .about =
        "Writes the model's answer to PROMPT on stdout, as it is made. - reads the prompt "
        "from stdin. With --prompts=FILE it answers every prompt of a file, many at a time, and "
        "writes one JSON object an answer, in the order of the file: row, prompt, text, tokens, "
        "and whether the model ended it. The same seed gives the same text, whatever else is in "
        "the file behind it.",
    .examples =
        "attune generate model.gguf \"Why is the sky blue?\"\n"
        "attune generate model/ \"Once upon\" --plain --temperature=0\n"
        "attune generate model/ \"Hello\" --adapter=out/adapter --seed=7\n"
        "attune generate model/ --prompts=prompts.jsonl --output=answers.jsonl --batch=32",
    .least = 1,
    .most = 2};

constexpr Usage kChatUsage{
    .name = "chat",
    .synopsis = "MODEL",
    .about =
        "A conversation on the terminal. An empty line or Ctrl-D ends it, Ctrl-C ends an "
        "answer; /new begins anew.",
    .examples = "attune chat model.gguf\nattune chat model/ --adapter=out/adapter",
    .least = 1,
    .most = 1};

bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
}

// A model may write what moves a terminal's cursor or changes its title.
bool print_piece(size_t /*prompt*/, const std::string& text) {
  static const bool person = ::isatty(STDOUT_FILENO) != 0;
  std::string shown = text;
  if (person) {
    std::erase_if(shown, is_control);
  }
  fmt::print("{}", shown);
  std::fflush(stdout);
  return true;
}

// What a person or a file gave as the words for a model.
void check_words(std::string_view what, const std::string& text) {
  const auto control =
      std::ranges::find_if(text, [](char c) { return c != '\r' && is_control(c); });
  check(control == text.end(),
        "{}: expected text, got the control character 0x{:02x}",
        what,
        control == text.end() ? 0 : static_cast<unsigned>(static_cast<unsigned char>(*control)));
  check(text::is_utf8(text),
        "{}: expected text in UTF-8, got \"{}\"",
        what,
        text::repaired_utf8(text));
}

std::string read_all(std::istream& in) {
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  return text;
}

}  // namespace

int generate_command(Arguments arguments) {
  WriterOptions writer;
  PromptOptions prompt;
  generate::GenerateOptions options;
  CommandLine line(kGenerateUsage);
  line.add(writer);
  line.add(prompt);
  line.add(options);
  if (!line.parse(arguments)) {
    return kGood;
  }
  const bool from_file = !prompt.prompts.empty();
  const bool from_line = line.positionals().size() > 1;
  check(from_file || from_line,
        "attune generate needs MODEL PROMPT, or MODEL --prompts=FILE. Try: attune generate --help");
  check(!from_file || !from_line, "PROMPT and --prompts were both given; one of them is enough");
  check(from_file || prompt.batch == PromptOptions().batch,
        "--batch is for --prompts; one prompt is answered by itself");
  check(from_file || prompt.output.empty(),
        "--output is for the answers to --prompts; one answer goes to stdout");
  if (from_file) {
    catch_stop_signals();
    return answer_file(line.positional(0), writer, prompt, options, line.log());
  }
  const std::string words = line.positional(1) == "-" ? read_all(std::cin) : line.positional(1);
  catch_stop_signals();
  check(!words.empty(), "the prompt is empty");
  check_words("the prompt", words);
  const auto model = open_writer(line.positional(0), writer);
  const std::vector<std::vector<int32_t>> ids{Prompter(*model, writer, prompt.plain).ids_of(words)};
  model->generate(ids, options, print_piece);
  fmt::print("\n");
  return stop_requested() ? kStopped : kGood;
}

int chat_command(Arguments arguments) {
  WriterOptions writer;
  generate::GenerateOptions options;
  CommandLine line(kChatUsage);
  line.add(writer);
  line.add(options);
  if (!line.parse(arguments)) {
    return kGood;
  }
  const auto opened = open_writer(line.positional(0), writer);
  generate::LanguageModel& model = *opened;
  (void)model.chat_template();  // an error here, not after the first question
  catch_stop_signals(/*wakes_reads=*/true);
  const bool person = ::isatty(STDIN_FILENO) != 0;
  std::vector<text::Message> messages = opening(writer);
  std::string words;
  while (true) {
    if (person) {
      fmt::print("\n> ");
      std::fflush(stdout);
    }
    if (!std::getline(std::cin, words) || words.empty() || stop_requested()) {
      break;
    }
    if (words == "/new") {
      messages = opening(writer);
      continue;
    }
    check_words("this line", words);
    messages.push_back({"user", words});
    const std::vector<std::vector<int32_t>> ids{model.prompt_of(messages)};
    if (static_cast<int64_t>(ids[0].size()) >= model.max_tokens()) {
      const std::string full =
          fmt::format("the conversation fills the model's window of {} tokens; /new begins anew",
                      model.max_tokens());
      check(person, "{}", full);
      fmt::print("{}\n", full);
      messages.pop_back();
      continue;
    }
    const std::vector<generate::Generation> answer = model.generate(ids, options, print_piece);
    fmt::print("\n");
    messages.push_back({"assistant", answer[0].text});
    if (stop_requested()) {
      break;
    }
  }
  return stop_requested() ? kStopped : kGood;
}

}  // namespace attune::cli
