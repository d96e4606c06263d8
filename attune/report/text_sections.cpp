#include <algorithm>

#include <fmt/format.h>

#include "attune/report/html.h"
#include "attune/report/sections.h"

namespace attune::report {
namespace {

int64_t num_words(std::string_view text) {
  int64_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    words += !space && !inside ? 1 : 0;
    inside = !space;
  }
  return words;
}

std::string answer_html(const char* colour, const char* name, const std::string& text) {
  const int64_t words = num_words(text);
  return fmt::format(
      "<div class=\"answer c-{}\"><h4>{}<span>{} {}</span></h4>"
      "<div class=\"text\">{}</div></div>",
      colour,
      name,
      count_text(words),
      words == 1 ? "word" : "words",
      text.empty() ? "<em>empty answer</em>" : escaped(text));
}

std::string command_html(const std::string& command) {
  return fmt::format(
      "<div class=\"command\"><pre><code>{}</code></pre>"
      "<button type=\"button\" class=\"copy\" hidden>Copy</button></div>\n",
      escaped(command));
}

/// "12,345" and the like: a number by itself.
bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || c == ',' || c == '.';
  });
}

std::string fact_table(const char* title,
                       const std::vector<std::pair<std::string, std::string>>& rows) {
  if (rows.empty()) {
    return "";
  }
  std::string out = fmt::format("<div class=\"facts\"><h3>{}</h3><table class=\"pairs\">", title);
  for (const auto& [name, value] : rows) {
    out += fmt::format("<tr><th scope=\"row\">{}</th><td{}>{}</td></tr>\n",
                       escaped(name),
                       is_number(value) ? " class=\"number\"" : "",
                       escaped(value));
  }
  return out + "</table></div>";
}

}  // namespace

std::string answers_section(const RunReport& run) {
  if (run.samples.empty()) {
    return "";
  }
  std::string out =
      "<section id=\"answers\"><h2>The same question, before and after</h2>"
      "<p class=\"lead\">Held-out prompts, answered by the model as it was and as it is.</p>\n";
  constexpr size_t kOpen = 4;
  for (size_t i = 0; i < run.samples.size(); ++i) {
    const Sample& sample = run.samples[i];
    out += fmt::format(
        "<details class=\"sample\"{}><summary><span class=\"prompt\">{}</span></summary>"
        "<div class=\"sides\">{}{}</div>",
        i < kOpen ? " open" : "",
        escaped(sample.prompt),
        answer_html("before", "Before", sample.before),
        answer_html("after", "After", sample.after));
    if (!sample.preferred.empty()) {
      out += fmt::format(
          "<details class=\"preferred\"><summary>the answer that people preferred</summary>"
          "<div class=\"text\">{}</div></details>",
          escaped(sample.preferred));
    }
    out += "</details>\n";
  }
  return out + "</section>\n";
}

std::string settings_section(const RunReport& run) {
  if (run.options_changed.empty() && run.run_yaml.empty()) {
    return "";
  }
  std::string out = "<section id=\"settings\"><h2>Settings</h2>";
  if (!run.options_changed.empty()) {
    out +=
        "<p class=\"lead\">Every option that differs from its default.</p><div class=\"scroll\">"
        "<table class=\"options\"><thead><tr><th>option</th><th>default</th><th>this run</th></tr>"
        "</thead><tbody>";
    for (const auto& [key, standard, value] : run.options_changed) {
      out += fmt::format(
          "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td><b>{}</b></td>"
          "</tr>\n",
          escaped(key),
          escaped(standard),
          escaped(value));
    }
    out += "</tbody></table></div>";
  }
  if (!run.run_yaml.empty()) {
    out += "<details class=\"file\"><summary>the whole run file, resolved</summary>" +
           command_html(run.run_yaml) + "</details>";
  }
  return out + "</section>\n";
}

std::string facts_section(const RunReport& run) {
  const std::string tables =
      fact_table("Data", run.data_counts) + fact_table("Machine and versions", run.machine);
  return tables.empty() ? ""
                        : "<section id=\"facts\"><h2>Data and machine</h2><div class=\"columns\">" +
                              tables + "</div></section>\n";
}

std::string next_section(const RunReport& run) {
  std::string out;
  if (!run.next_commands.empty()) {
    out += "<h3>Go on</h3>";
    for (const std::string& command : run.next_commands) {
      out += command_html(command);
    }
  }
  if (!run.command.empty()) {
    out += "<h3>Reproduce this run</h3>" + command_html(run.command);
  }
  out += fact_table("Files", run.files);
  return out.empty() ? "" : "<section id=\"next\"><h2>What now</h2>" + out + "</section>\n";
}

}  // namespace attune::report
