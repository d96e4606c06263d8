// attune generate and attune chat: text from a model, to the terminal as it is made.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "attune/cli/command_line.h"
#include "attune/cli/engine_commands.h"
#include "attune/cli/run_line.h"
#include "attune/core/error.h"
#include "attune/core/stop.h"
#include "attune/generate/language_model.h"
#include "attune/text/unicode.h"

namespace attune::cli {
namespace {

/// Which model is to write.
struct WriterOptions {
  std::string adapter;
  std::string chat_template = "auto";
  std::string precision = "f32";
  std::string system;
  int64_t threads = 0;

  template <class Visitor>
  void fields(Visitor&& field) {
    field("adapter", adapter, {.help = "PEFT adapter folder; empty is the model alone"});
    field("chat_template",
          chat_template,
          {.help = "auto (what the model brings) or a name, for instance chatml"});
    field("precision",
          precision,
          {.help = "how weights are kept in memory", .one_of = {"f32", "bf16"}});
    field("system", system, {.help = "the system message; empty is the template's own"});
    field("threads", threads, {.help = "CPU threads; 0 is all", .at_least = 0, .at_most = 1024});
  }
};

/// How `generate` reads its prompt.
struct PromptOptions {
  bool plain = false;

  template <class Visitor>
  void fields(Visitor&& field) {
    field("plain", plain, {.help = "continue the text as it is, without the chat template"});
  }
};

constexpr Usage kGenerateUsage{
    .name = "generate",
    .synopsis = "MODEL PROMPT",
    .about =
        "Writes the model's answer to PROMPT on stdout, as it is made. - reads the prompt "
        "from stdin. The same seed gives the same text.",
    .examples =
        "attune generate model.gguf \"Why is the sky blue?\"\n"
        "attune generate model/ \"Once upon\" --plain --temperature=0\n"
        "attune generate model/ \"Hello\" --adapter=out/adapter --seed=7",
    .least = 2,
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

// In place, so that it never moves: it is large.
std::unique_ptr<generate::LanguageModel> open_writer(const std::string& path,
                                                     const WriterOptions& options) {
  check_path("model", path);
  check_path("--adapter", options.adapter);
  model::ModelOptions model;
  model.path = path;
  model.precision = options.precision;
  model.chat_template = options.chat_template;
  auto writer = std::make_unique<generate::LanguageModel>(model, options.adapter, options.threads);
  if (!writer->adapter_warning().empty()) {
    put(stderr, fmt::format("warning: {}\n", writer->adapter_warning()));
  }
  return writer;
}

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
  check(text::is_utf8(text),
        "{}: expected text in UTF-8, got \"{}\"",
        what,
        text::repaired_utf8(text));
  const auto control =
      std::ranges::find_if(text, [](char c) { return c != '\r' && is_control(c); });
  check(control == text.end(),
        "{}: expected text, got the control character 0x{:02x}",
        what,
        control == text.end() ? 0 : static_cast<unsigned>(static_cast<unsigned char>(*control)));
}

std::string read_all(std::istream& in) {
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  return text;
}

std::vector<text::Message> opening(const WriterOptions& options) {
  std::vector<text::Message> messages;
  if (!options.system.empty()) {
    messages.push_back({"system", options.system});
  }
  return messages;
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
  const std::string words = line.positional(1) == "-" ? read_all(std::cin) : line.positional(1);
  catch_stop_signals();
  check(!words.empty(), "the prompt is empty");
  check_words("the prompt", words);
  const auto opened = open_writer(line.positional(0), writer);
  generate::LanguageModel& model = *opened;
  const bool plain = prompt.plain || !model.can_chat();
  check(!plain || writer.system.empty(), "--system has no meaning without a chat template");
  std::vector<std::vector<int32_t>> ids(1);
  if (plain) {
    ids[0] = model.prompt_of(words);
  } else {
    std::vector<text::Message> messages = opening(writer);
    messages.push_back({"user", words});
    ids[0] = model.prompt_of(messages);
  }
  model.generate(ids, options, print_piece);
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
