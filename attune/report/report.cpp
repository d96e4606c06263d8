#include "attune/report/report.h"

#include <array>
#include <string_view>

#include <fmt/format.h>

#include "attune/core/file.h"
#include "attune/report/chart.h"
#include "attune/report/findings.h"
#include "attune/report/html.h"
#include "attune/report/sections.h"

namespace attune::report {
namespace {

// The files are C++ raw strings, so that the page's style and script are compiled in.
constexpr std::string_view kStyle =
#include "web/report/page.css.inc"
    ;
constexpr std::string_view kScript =
#include "web/report/page.js.inc"
    ;

std::string status_html(const std::string& status) {
  if (status.empty()) {
    return "";
  }
  const bool finished = status.rfind("finished", 0) == 0;
  return fmt::format(
      "<span class=\"status {}\">{}</span>", finished ? "done" : "open", escaped(status));
}

std::string warnings_html(const std::vector<std::string>& warnings) {
  if (warnings.empty()) {
    return "";
  }
  std::string out = "<aside class=\"warnings\"><h2>Worth knowing</h2><ul>";
  for (const std::string& warning : warnings) {
    out += "<li>" + escaped(warning) + "</li>";
  }
  return out + "</ul></aside>\n";
}

struct Section {
  const char* id;
  const char* name;
  std::string html;
};

std::string nav_html(const std::vector<Section>& sections) {
  std::string links;
  for (const Section& section : sections) {
    if (!section.html.empty()) {
      links += fmt::format("<a href=\"#{}\">{}</a>", section.id, section.name);
    }
  }
  return links.empty() ? "" : "<nav aria-label=\"sections\"><div>" + links + "</div></nav>\n";
}

}  // namespace

std::string to_html(const RunReport& run) {
  const std::string title = escaped(run.title.empty() ? "attune run" : run.title);
  const Verdict verdict = verdict_of(run);
  const std::vector<Section> sections = {{"answers", "Answers", answers_section(run)},
                                         {"curves", "Curves", curves_section(run)},
                                         {"pairs", "Pairs", pairs_section(run)},
                                         {"settings", "Settings", settings_section(run)},
                                         {"facts", "Data", facts_section(run)},
                                         {"next", "What now", next_section(run)}};
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      // The page loads nothing; this makes the browser hold it to that.
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
      "form-action 'none'\">\n";
  out += fmt::format("<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n", title, kStyle);
  out += fmt::format(
      "<header><div class=\"top\"><p class=\"eyebrow\">attune{}{}</p>"
      "<button type=\"button\" id=\"theme\" hidden>Dark</button></div><h1>{}</h1>{}</header>\n",
      run.version.empty() ? "" : " ",
      escaped(run.version),
      title,
      status_html(run.status));
  out += nav_html(sections);
  out += "<main>\n";
  const std::string interval = interval_chart(run.accuracy_before, run.accuracy_after);
  out += fmt::format("<section class=\"result\"><div class=\"verdict {}{}\"><p>{}</p>{}</div>\n",
                     verdict.tone,
                     interval.empty() ? "" : " wide",
                     verdict.html,
                     interval);
  out += cards_section(run) + warnings_html(run.warnings) + "</section>\n";
  for (const Section& section : sections) {
    out += section.html;
  }
  out += fmt::format(
      "</main>\n<footer>Written by attune {}. One file, nothing is loaded from elsewhere."
      "</footer>\n<script>{}</script>\n</body>\n</html>\n",
      escaped(run.version),
      kScript);
  return out;
}

void write_report(const std::filesystem::path& path, const RunReport& run) {
  write_file(path, to_html(run));
}

}  // namespace attune::report
