// attune data: stats, convert.
#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "attune/cli/command_line.h"
#include "attune/cli/line_writer.h"
#include "attune/cli/plain_commands.h"
#include "attune/core/error.h"
#include "attune/core/hash.h"
#include "attune/data/reader.h"
#include "attune/data/row_error.h"

namespace attune::cli {
namespace {

using attune::data::Comparison;
using attune::data::Completion;
using attune::data::DataOptions;
using attune::data::PreferenceGroup;
using attune::data::RowError;
using Json = nlohmann::ordered_json;

constexpr size_t kNamedRows = 5;
constexpr size_t kNamedTags = 20;

struct ReadOptions {
  std::string format = "auto";
  std::map<std::string, std::string> columns = {};
  std::vector<std::string> values = {};
  std::string tag = {};
  std::string on_bad_row = "error";

  template <class Visitor>
  void fields(Visitor&& field) {
    field("format",
          format,
          {.help = "how files are read; auto looks at their content",
           .one_of = {"auto", "jsonl", "json"}});
    field("columns",
          columns,
          {.help = "attune's field and the file's column, as in --columns.chosen=answer_a"});
    field("values", values, {.help = "columns with a number for each completion, as data.values"});
    field("tag", tag, {.help = "column with each row's group, as data.tag"});
    field("on_bad_row",
          on_bad_row,
          {.help = "a row that cannot be used stops the command, or is skipped, counted and named",
           .one_of = {"error", "skip"}});
  }
};

struct OutputOptions {
  std::string output = {};

  template <class Visitor>
  void fields(Visitor&& field) {
    field("output",
          output,
          {.help = "file to write instead of stdout; it is there when it is complete"});
  }
};

// The rows that could not be used.
struct BadRows {
  std::map<std::string, int64_t> count;  // by reason
  std::vector<std::string> first;        // whole messages
  int64_t total = 0;
};

// Calls `take` for every group of `files`.
template <class Take>
BadRows for_each_group(const std::vector<std::string>& files,
                       const ReadOptions& options,
                       Terminal& terminal,
                       Take&& take) {
  DataOptions how;
  how.format = options.format;
  how.columns = options.columns;
  how.values = options.values;
  how.tag = options.tag;
  BadRows bad;
  int64_t rows = 0;
  for (const std::string& file : files) {
    const auto reader = attune::data::open_reader(file, how);
    while (true) {
      try {
        const std::optional<PreferenceGroup> group = reader->next();
        if (!group) {
          break;
        }
        take(*group);
      } catch (const RowError& e) {
        if (options.on_bad_row == "error") {
          throw;
        }
        ++bad.count[e.reason()];
        ++bad.total;
        if (bad.first.size() < kNamedRows) {
          bad.first.emplace_back(e.what());
        }
      }
      terminal.progress("reading", ++rows, /*total=*/0);
    }
  }
  return bad;
}

void warn_of(const BadRows& bad, Terminal& terminal) {
  for (const std::string& message : bad.first) {
    terminal.warn(message);
  }
  if (bad.total > static_cast<int64_t>(bad.first.size())) {
    terminal.warn(fmt::format("{} more rows like these",
                              count_text(bad.total - static_cast<int64_t>(bad.first.size()))));
  }
}

std::string text_of(const std::vector<text::Message>& messages, const std::string& plain) {
  std::string out = plain;
  for (const text::Message& message : messages) {
    out += (out.empty() ? "" : "\n") + message.content;
  }
  return out;
}

// Sizes in bytes, kept whole for the median: 4 bytes a text.
class Sizes {
 public:
  void add(size_t size) {
    sizes_.push_back(static_cast<uint32_t>(std::min<size_t>(size, UINT32_MAX)));
  }
  std::string text() {
    if (sizes_.empty()) {
      return "none";
    }
    std::ranges::sort(sizes_);
    const auto at = [this](size_t percent) {
      return count_text(sizes_[(sizes_.size() - 1) * percent / 100]);
    };
    return fmt::format("median {}, 90 % under {}, longest {}", at(50), at(90), at(100));
  }

 private:
  std::vector<uint32_t> sizes_;
};

struct Stats {
  int64_t groups = 0;
  int64_t no_prompt = 0;
  int64_t conversational = 0;
  int64_t comparisons = 0;
  int64_t winner_longer = 0;
  int64_t unsure = 0;  // probability below 1
  int64_t labels = 0;
  int64_t desirable = 0;                  // of the labels
  int64_t scored = 0;                     // completions with a score
  std::map<std::string, int64_t> values;  // completions, by column
  std::map<std::string, int64_t> tags;    // groups
  std::map<size_t, int64_t> by_completions;
  std::set<std::string> annotators;
  std::unordered_set<uint64_t> prompts;
  Sizes prompt_size;
  Sizes winner_size;
  Sizes loser_size;

  void add(const PreferenceGroup& group) {
    const std::string prompt = text_of(group.messages, group.prompt);
    ++groups;
    conversational += group.conversational;
    ++by_completions[group.completions.size()];
    no_prompt += prompt.empty();
    prompts.insert(Hasher().add(prompt).word());
    prompt_size.add(prompt.size());
    const auto size_of = [&](int32_t completion) {
      const Completion& one = group.completions.at(static_cast<size_t>(completion));
      return text_of(one.messages, one.text).size();
    };
    for (const Completion& completion : group.completions) {
      labels += completion.label.has_value();
      desirable += completion.label.value_or(false);
      scored += completion.score.has_value();
      for (const auto& [column, unused] : completion.values) {
        ++values[column];
      }
    }
    if (!group.tag.empty()) {
      ++tags[group.tag];
    }
    for (const Comparison& comparison : group.comparisons) {
      ++comparisons;
      unsure += comparison.probability < 1;
      winner_size.add(size_of(comparison.winner));
      loser_size.add(size_of(comparison.loser));
      winner_longer += size_of(comparison.winner) > size_of(comparison.loser);
      if (!comparison.annotator.empty()) {
        annotators.insert(comparison.annotator);
      }
    }
  }
};

void line(std::string_view name, const std::string& value) {
  fmt::print("{:<24}{}\n", name, value);
}

// The most frequent tags first.
void print_tags(const std::map<std::string, int64_t>& tags) {
  if (tags.empty()) {
    return;
  }
  std::vector<std::pair<std::string, int64_t>> order(tags.begin(), tags.end());
  std::ranges::stable_sort(order, std::greater(), &std::pair<std::string, int64_t>::second);
  line("tags", count_text(static_cast<int64_t>(order.size())));
  for (size_t i = 0; i < std::min(order.size(), kNamedTags); ++i) {
    fmt::print("  {:>8}  {}\n", count_text(order[i].second), order[i].first);
  }
}

void print_stats(Stats& stats, const BadRows& bad) {
  line("groups", count_text(stats.groups));
  line("distinct prompts", count_text(static_cast<int64_t>(stats.prompts.size())));
  if (stats.no_prompt > 0) {
    line("  without a prompt", count_text(stats.no_prompt));
  }
  line("conversations", count_text(stats.conversational));
  for (const auto& [size, count] : stats.by_completions) {
    line(fmt::format("with {} completion{}", size, size == 1 ? "" : "s"), count_text(count));
  }
  line("comparisons", count_text(stats.comparisons));
  line("  unsure", count_text(stats.unsure));
  if (stats.comparisons > 0) {
    line("  the longer one wins",
         fmt::format("{:.1f} %",
                     100.0 * static_cast<double>(stats.winner_longer) /
                         static_cast<double>(stats.comparisons)));
  }
  line("labels without a pair", count_text(stats.labels));
  if (stats.labels > 0) {
    line("  desirable", count_text(stats.desirable));
  }
  if (stats.scored > 0) {
    line("scored completions", count_text(stats.scored));
  }
  for (const auto& [column, count] : stats.values) {
    line(fmt::format("with {}", column), count_text(count));
  }
  line("annotators", count_text(static_cast<int64_t>(stats.annotators.size())));
  print_tags(stats.tags);
  line("prompt bytes", stats.prompt_size.text());
  line("preferred bytes", stats.winner_size.text());
  line("rejected bytes", stats.loser_size.text());
  line("rows not usable", count_text(bad.total));
  for (const auto& [reason, count] : bad.count) {
    fmt::print("  {:>8}  {}\n", count_text(count), reason);
  }
}

int stats(Arguments arguments) {
  ReadOptions options{.on_bad_row = "skip"};
  CommandLine line({.name = "data stats",
                    .synopsis = "FILE...",
                    .about = "Counts what is in preference files: groups, comparisons, lengths, "
                             "rows that cannot be used and why.",
                    .examples = "attune data stats pairs.jsonl\n"
                                "attune data stats a.jsonl b.json.gz --columns.prompt=question",
                    .least = 1,
                    .most = 100'000});
  line.add(options);
  if (!line.parse(arguments)) {
    return kGood;
  }
  Terminal terminal(line.log());
  Stats found;
  const BadRows bad = for_each_group(
      line.positionals(), options, terminal, [&](const PreferenceGroup& g) { found.add(g); });
  warn_of(bad, terminal);
  print_stats(found, bad);
  check(found.groups > 0, "no row can be used; the reasons stand above, with how many rows each");
  return kGood;
}

Json turns_or_text(bool conversational,
                   const std::vector<text::Message>& messages,
                   const std::string& plain) {
  if (!conversational) {
    return plain;
  }
  Json turns = Json::array();
  for (const text::Message& message : messages) {
    turns.push_back({{"role", message.role}, {"content", message.content}});
  }
  return turns;
}

// The completion's score and values, each under its name and what follows it.
void put_numbers(Json& row, const Completion& completion, const std::string& side) {
  if (completion.score) {
    row["score" + side] = *completion.score;
  }
  for (const auto& [column, value] : completion.values) {
    row[column + side] = value;
  }
}

// One row a comparison, and one a labelled completion.
void write_rows(const PreferenceGroup& group, const std::string& tag_column, LineWriter& to) {
  const auto completion = [&](size_t i) {
    const Completion& one = group.completions.at(i);
    return turns_or_text(group.conversational, one.messages, one.text);
  };
  Json start;
  start["prompt"] = turns_or_text(group.conversational, group.messages, group.prompt);
  const auto print = [&](Json row) {
    row.update(Json(group.tags));
    if (!group.tag.empty()) {
      row[tag_column] = group.tag;
    }
    to.write(row.dump() + "\n");
  };
  for (const Comparison& comparison : group.comparisons) {
    Json row = start;
    row["chosen"] = completion(static_cast<size_t>(comparison.winner));
    row["rejected"] = completion(static_cast<size_t>(comparison.loser));
    put_numbers(row, group.completions.at(static_cast<size_t>(comparison.winner)), "_chosen");
    put_numbers(row, group.completions.at(static_cast<size_t>(comparison.loser)), "_rejected");
    if (comparison.probability != 1) {
      row["probability"] = comparison.probability;
    }
    if (comparison.weight != 1) {
      row["weight"] = comparison.weight;
    }
    if (!comparison.annotator.empty()) {
      row["annotator"] = comparison.annotator;
    }
    print(std::move(row));
  }
  for (size_t i = 0; i < group.completions.size(); ++i) {
    if (group.completions[i].label) {
      Json row = start;
      row["completion"] = completion(i);
      row["label"] = *group.completions[i].label;
      if (group.completions[i].label_weight != 1) {
        row["weight"] = group.completions[i].label_weight;
      }
      put_numbers(row, group.completions[i], "");
      print(std::move(row));
    }
  }
}

int convert(Arguments arguments) {
  ReadOptions options{.on_bad_row = "error"};
  OutputOptions to;
  CommandLine line({.name = "data convert",
                    .synopsis = "FILE...",
                    .about =
                        "Writes preference files of any form as JSON lines with prompt, "
                        "chosen and rejected to stdout: a row for each comparison, or prompt, "
                        "completion and label for feedback without a pair. Scores and the columns "
                        "of --values go along.",
                    .examples = "attune data convert ranked.json --output=pairs.jsonl",
                    .least = 1,
                    .most = 100'000});
  line.add(options);
  line.add(to);
  if (!line.parse(arguments)) {
    return kGood;
  }
  check_output(to.output, {}, line.positionals(), "converted rows");
  Terminal terminal(line.log());
  LineWriter out(to.output, /*prompt=*/false);
  const auto write = [&](const PreferenceGroup& group) { write_rows(group, options.tag, out); };
  warn_of(for_each_group(line.positionals(), options, terminal, write), terminal);
  out.finish();
  return kGood;
}

constexpr std::array kSubcommands{
    Command{"convert", convert},
    Command{"stats", stats},
};

constexpr std::string_view kHelp =
    R"(usage: attune data SUBCOMMAND ...

Count and convert preference files: JSON lines or a JSON array, plain or gzip.

  stats FILE...     groups, comparisons, lengths, rows that cannot be used and why
  convert FILE...   any form as JSON lines with prompt, chosen and rejected

attune data SUBCOMMAND --help explains one.
)";

}  // namespace

int data(Arguments arguments) {
  if (!arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h")) {
    fmt::print("{}", kHelp);
    return kGood;
  }
  check(!arguments.empty(), "data needs a subcommand. Try: attune data --help");
  return run_command(kSubcommands, arguments, "data subcommand");
}

}  // namespace attune::cli
