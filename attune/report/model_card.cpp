#include "attune/report/model_card.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

namespace attune::report {
namespace {

bool is_hub_id(std::string_view name) {
  const auto is_part = [](std::string_view part) {
    return !part.empty() && part.front() != '.' && part.front() != '-' &&
           std::all_of(part.begin(), part.end(), [](unsigned char c) {
             return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
           });
  };
  const size_t slash = name.find('/');
  return slash != std::string_view::npos && is_part(name.substr(0, slash)) &&
         is_part(name.substr(slash + 1)) && !name.ends_with(".gguf");
}

/// One line of Markdown text: what would start a tag, a table cell or a new line is disarmed.
std::string inline_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      out += ' ';
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '|' || c == '`' || c == '*' || c == '_' || c == '[' || c == '\\') {
      out += '\\';
      out += c;
    } else {
      out += c;
    }
  }
  return out;
}

/// A fenced block whose fence is longer than any run of backticks in it.
std::string code_block(std::string_view language, std::string_view code) {
  size_t longest = 0;
  size_t run = 0;
  for (const char c : code) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(std::max<size_t>(3, longest + 1), '`');
  return fmt::format("{}{}\n{}\n{}\n", fence, language, code, fence);
}

std::string pair_table(std::string_view left,
                       std::string_view right,
                       const std::vector<std::pair<std::string, std::string>>& rows) {
  std::string out = fmt::format("| {} | {} |\n|---|---|\n", left, right);
  for (const auto& [name, value] : rows) {
    out += fmt::format("| {} | {} |\n", inline_text(name), inline_text(value));
  }
  return out + "\n";
}

std::string share_text(const std::optional<Interval>& share) {
  return share ? fmt::format("{:.1f} % ({:.1f} to {:.1f} %)",
                             100 * share->estimate,
                             100 * share->low,
                             100 * share->high)
               : "";
}

std::string results_table(const ModelCard& card) {
  std::string rows;
  const auto add = [&](std::string_view name, const std::string& before, const std::string& after) {
    if (!before.empty() || !after.empty()) {
      rows += fmt::format("| {} | {} | {} |\n", name, before, after);
    }
  };
  const auto figure = [](const std::optional<EvalRow>& row, double EvalRow::*member) {
    return row && std::isfinite((*row).*member) ? fmt::format("{:.4f}", (*row).*member) : "";
  };
  add("reward accuracy (95 % interval)",
      share_text(card.accuracy_before),
      share_text(card.accuracy_after));
  const std::pair<const char*, double EvalRow::*> figures[] = {
      {"loss, nats", &EvalRow::loss},
      {"reward margin, nats", &EvalRow::margin},
      {"reward of the chosen, nats", &EvalRow::chosen_reward},
      {"reward of the rejected, nats", &EvalRow::rejected_reward},
      {"log-probability of the chosen, nats", &EvalRow::chosen_logps},
      {"log-probability of the rejected, nats", &EvalRow::rejected_logps}};
  for (const auto& [name, member] : figures) {
    add(name, figure(card.before, member), figure(card.after, member));
  }
  if (rows.empty()) {
    return "";
  }
  return "## Results on held-out pairs\n\n| | before | after |\n|---|---|---|\n" + rows + "\n";
}

std::string python_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out + "\"";
}

std::string shell_text(std::string_view text) {
  constexpr std::string_view kSafe = "-_./=:,@%+";
  const bool safe = !text.empty() && std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return std::isalnum(c) != 0 || kSafe.find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (safe) {
    return std::string(text);
  }
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return out + "'";
}

// transformers knows a hub id or its own folder format; a GGUF file's path would fail there.
std::string usage(const ModelCard& card) {
  std::string out = "## Use it\n\nWith attune:\n\n";
  out += code_block("sh",
                    card.adapter ? fmt::format("attune chat {} --adapter={}",
                                               shell_text(card.base_model),
                                               shell_text(card.folder))
                                 : fmt::format("attune chat {}", shell_text(card.folder)));
  out += "\nWith Python:\n\n";
  const std::string folder = python_text(card.folder);
  if (card.adapter) {
    out +=
        code_block("python",
                   fmt::format("from peft import PeftModel\n"
                               "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
                               "base = {}{}\n"
                               "tokenizer = AutoTokenizer.from_pretrained(base)\n"
                               "model = AutoModelForCausalLM.from_pretrained(base)\n"
                               "model = PeftModel.from_pretrained(model, {})",
                               python_text(card.base_model),
                               is_hub_id(card.base_model)
                                   ? ""
                                   : "  # the hub id or folder of the same model for transformers",
                               folder));
  } else {
    out += code_block("python",
                      fmt::format("from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
                                  "tokenizer = AutoTokenizer.from_pretrained({})\n"
                                  "model = AutoModelForCausalLM.from_pretrained({})",
                                  folder,
                                  folder));
  }
  return out + "\n";
}

std::string front_matter(const ModelCard& card) {
  std::string out = "---\n";
  if (is_hub_id(card.base_model)) {
    out += fmt::format("base_model: {}\n", card.base_model);
    out += fmt::format("base_model_relation: {}\n", card.adapter ? "adapter" : "finetune");
  }
  out += fmt::format("library_name: {}\n", card.adapter ? "peft" : "transformers");
  out += "pipeline_tag: text-generation\ntags:\n- attune\n- preference-tuning\n";
  for (const CardTerm& term : card.objective) {
    out += fmt::format("- {}\n", term.kind);
  }
  if (card.adapter) {
    out += "- lora\n";
  }
  return out + "---\n\n";
}

// "dpo + 0.5 nll"
std::string objective_text(const ModelCard& card) {
  std::string out;
  for (const CardTerm& term : card.objective) {
    out += out.empty() ? "" : " + ";
    out += term.weight == 1 ? term.kind : fmt::format("{} {}", term.weight, term.kind);
  }
  return out;
}

std::string paper_list(const ModelCard& card) {
  std::string out;
  for (const CardTerm& term : card.objective) {
    if (!term.paper.empty()) {
      out += fmt::format("- {}: [arXiv:{}](https://arxiv.org/abs/{})\n",
                         inline_text(term.kind),
                         term.paper,
                         term.paper);
    }
  }
  return out.empty() ? "" : "## Papers\n\n" + out + "\n";
}

constexpr std::string_view kDpoCitation = R"(@inproceedings{rafailov2023direct,
  title     = {Direct Preference Optimization: Your Language Model is Secretly a Reward Model},
  author    = {Rafael Rafailov and Archit Sharma and Eric Mitchell and Christopher D. Manning and
               Stefano Ermon and Chelsea Finn},
  booktitle = {Advances in Neural Information Processing Systems 36},
  year      = {2023},
  url       = {https://arxiv.org/abs/2305.18290}
})";

}  // namespace

std::string to_markdown(const ModelCard& card) {
  std::string out = front_matter(card);
  out += fmt::format("# {}\n\n", inline_text(card.name));
  out += fmt::format("{} {}, tuned on preferences ({}) with attune{}.\n\n",
                     card.adapter ? "An adapter for" : "A tuned copy of",
                     inline_text(card.base_model),
                     inline_text(objective_text(card)),
                     card.version.empty() ? "" : " " + inline_text(card.version));
  out += results_table(card);
  out += usage(card);
  if (!card.data.empty()) {
    out += "## Data\n\n" + pair_table("what", "count", card.data);
  }
  if (!card.settings.empty()) {
    out += "## Settings\n\n" + pair_table("option", "value", card.settings);
  }
  if (!card.command.empty()) {
    out += "## Reproduce\n\n" + code_block("sh", card.command) + "\n";
  }
  out += paper_list(card);
  const bool dpo = std::any_of(card.objective.begin(), card.objective.end(), [](const auto& term) {
    return term.kind == "dpo";
  });
  if (dpo) {
    out += "## Citation\n\n" + code_block("bibtex", kDpoCitation);
  }
  return out;
}

}  // namespace attune::report
