// README.md of an output folder, as the Hugging Face hub reads it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attune/report/interval.h"
#include "attune/report/rows.h"

namespace attune::report {

/// One term of the objective.
struct CardTerm {
  std::string kind;
  double weight = 1;
  std::string paper = {};  ///< arXiv id.
};

/// What the card says. What is empty is left out.
struct ModelCard {
  std::string name = {};  ///< the run's name, the card's heading.
  std::string base_model =
      {};               ///< hub id ("org/model") or a path; only an id enters the front matter.
  bool adapter = true;  ///< a PEFT adapter, otherwise whole weights.
  std::vector<CardTerm> objective = {{.kind = "dpo", .paper = "2305.18290"}};  ///< its terms.
  std::string folder = {};   ///< the output folder as the user names it, for the commands.
  std::string version = {};  ///< attune's version.
  std::string command = {};  ///< the exact command that reproduces the run.
  std::vector<std::pair<std::string, std::string>> data = {};      ///< name and count.
  std::vector<std::pair<std::string, std::string>> settings = {};  ///< option and value.
  std::optional<Interval> accuracy_before = {};  ///< held-out reward accuracy before training.
  std::optional<Interval> accuracy_after = {};   ///< held-out reward accuracy after training.
  std::optional<EvalRow> before = {};            ///< the evaluation before training.
  std::optional<EvalRow> after = {};             ///< the last evaluation, or the best one's.
};

/// Markdown with YAML front matter.
std::string to_markdown(const ModelCard& card);

}  // namespace attune::report
