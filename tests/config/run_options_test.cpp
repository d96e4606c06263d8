#include "attune/train/run_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/config/trl.h"

#include "tests/config/message.h"

namespace attune::train {
namespace {

using config::Difference;
using config::Flag;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kGood =
    "model: {path: m}\ndata: {train: [pairs.jsonl]}\ntrain: {output: out}\n";

std::string read_message(const std::string& text, const std::vector<Flag>& flags = {}) {
  return message_of([&] { read_run_text(text, "run.yaml", flags); });
}

std::string check_message(const std::vector<Flag>& flags) {
  return message_of([&] { check_run(read_run_text(kGood, "run.yaml", flags)); });
}

TEST(ReadRun, AnUnknownKindNamesTheNearest) {
  EXPECT_EQ(read_message("objective:\n  - kind: dop\n"),
            "run.yaml:2:5: no objective \"dop\". Did you mean \"dpo\"?");
}

TEST(ReadRun, ErrorsInATermNameTheKind) {
  EXPECT_EQ(read_message("objective:\n  - kind: dpo\n    betta: 0.2\n"),
            "run.yaml:3:5: no option dpo.betta. Did you mean \"beta\"?");
  EXPECT_EQ(read_message("objective:\n  - kind: dpo\n    label_smoothing: 0.5\n"),
            "run.yaml:3:5: dpo.label_smoothing must be < 0.5, got 0.5");
  EXPECT_EQ(read_message("objective:\n  - kind: dpo\n    weight: 0\n"),
            "run.yaml:3:5: objective.weight must be > 0, got 0");
  EXPECT_EQ(read_message("objective:\n  - beta: 0.2\n"),
            "run.yaml:2:5: this objective has no kind. Add kind: dpo, or another of attune config "
            "objectives");
  EXPECT_EQ(read_message("objective: []\n"),
            "run.yaml:1:12: objective needs at least one entry. Write [{kind: dpo}]");
}

TEST(ReadRun, ATermMayBeAMappingOrAName) {
  EXPECT_EQ(std::get<objective::DpoOptions>(
                read_run_text("objective: {kind: dpo, beta: 0.3}\n", "f").objective[0].options)
                .beta,
            0.3);
  EXPECT_EQ(read_run_text("objective: [dpo, dpo]\n", "f").objective.size(), 2);
}

TEST(ReadRun, AnUnknownSectionNamesTheNearest) {
  EXPECT_EQ(read_message("optm: {lr: 1}\n"),
            "run.yaml:1:1: no section optm. Did you mean \"optim\"?");
  EXPECT_EQ(read_message("objectives: []\n"),
            "run.yaml:1:1: no section objectives. Did you mean \"objective\"?");
}

TEST(ReadRun, AnOptionInTheWrongSectionIsToldWhereItBelongs) {
  EXPECT_EQ(read_message("train: {lr: 1e-5}\n"),
            "run.yaml:1:9: no option train.lr. Did you mean \"optim.lr\"?");
  EXPECT_EQ(read_message("", {{"lr", "1"}}), "--lr: no section lr. Did you mean \"optim.lr\"?");
}

TEST(ReadRun, FlagsOverrideTheFileAndNameThemselves) {
  const std::vector<Flag> flags{
      {"optim.lr", "3e-5"}, {"objective.beta", "0.2"}, {"adapter.targets", "q_proj,o_proj"}};
  const RunOptions run = read_run_text("optim: {lr: 1}\n", "run.yaml", flags);
  EXPECT_EQ(run.optim.lr, 3e-5);
  EXPECT_EQ(std::get<objective::DpoOptions>(run.objective[0].options).beta, 0.2);
  EXPECT_THAT(run.adapter.targets, ElementsAre("q_proj", "o_proj"));
  EXPECT_EQ(read_message("", {{"optim.lr", "-1"}}), "--optim.lr: optim.lr must be > 0, got -1");
  EXPECT_EQ(read_message("", {{"objective.betta", "1"}}),
            "--objective.betta: no option dpo.betta. Did you mean \"beta\"?");
}

TEST(ReadRun, WrittenOutItReadsBackTheSame) {
  const std::string text =
      "model: {path: 'a b', precision: bf16}\n"
      "data: {train: [x.jsonl, 'y, z.jsonl'], columns: {prompt: q}}\n"
      "objective:\n  - {kind: dpo, beta: 0.07}\n  - {kind: dpo, weight: 0.3}\n"
      "batch: {tokens: 4099}\noptim: {lr: 1.7e-6}\ntrain: {output: o}\n";
  const RunOptions run = read_run_text(text, "f");
  const std::string yaml = to_yaml(run);
  const RunOptions again = read_run_text(yaml, "g");
  EXPECT_EQ(to_yaml(again), yaml);
  EXPECT_TRUE(compare_runs(run, again, /*skip_may_change=*/false).empty());
  EXPECT_EQ(again.data.train[1], "y, z.jsonl");
  EXPECT_EQ(again.batch.tokens, 4099);
  EXPECT_EQ(again.objective[1].weight, 0.3);
}

TEST(CompareRuns, NamesOptionsOfSectionsAndTerms) {
  const RunOptions run =
      read_run_text("objective: {kind: dpo, beta: 0.2}\noptim: {lr: 1e-6}\n", "f");
  std::vector<std::string> keys;
  for (const Difference& difference : differs(run)) {
    keys.push_back(difference.key + " " + difference.before + " " + difference.after);
  }
  EXPECT_THAT(keys, ElementsAre("optim.lr 5e-05 1e-06", "dpo.beta 0.1 0.2"));
}

TEST(CompareRuns, AResumeMayChangeTheLogButNotBeta) {
  const RunOptions older = read_run_text("train: {log_every: 5}\n", "f");
  const RunOptions newer = read_run_text("objective: {kind: dpo, beta: 0.2}\n", "f");
  const std::vector<Difference> found = resume_difference(older, newer);
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].key, "dpo.beta");
  const RunOptions two = read_run_text("objective: [dpo, dpo]\n", "f");
  ASSERT_EQ(resume_difference(older, two).size(), 1);
  EXPECT_EQ(resume_difference(older, two)[0].after, "[dpo, dpo]");
}

TEST(CheckRun, TheLeastRunFilePasses) {
  EXPECT_EQ(check_message({}), "no error");
}

TEST(CheckRun, WhatIsMissingIsNamed) {
  EXPECT_THAT(check_message({{"model.path", ""}}), HasSubstr("run.yaml: model.path is missing"));
  EXPECT_THAT(check_message({{"data.train", ""}}), HasSubstr("data.train is missing"));
  EXPECT_THAT(check_message({{"train.output", ""}}), HasSubstr("train.output is missing"));
}

TEST(CheckRun, OptionsThatFightAreBothNamed) {
  const auto expect_both =
      [](const std::vector<Flag>& flags, const char* first, const char* second) {
        const std::string message = check_message(flags);
        EXPECT_THAT(message, HasSubstr(first));
        EXPECT_THAT(message, HasSubstr(second));
      };
  expect_both(
      {{"adapter.kind", "none"}, {"model.precision", "bf16"}}, "adapter.kind none", "too coarse");
  expect_both({{"adapter.kind", "none"}, {"adapter.rank", "16"}}, "adapter.rank", "kind none");
  expect_both({{"reference.kind", "model"}}, "reference.kind model", "reference.path");
  expect_both({{"reference.path", "r"}}, "reference.path", "reference.kind auto");
  expect_both({{"reference.kind", "base"}, {"adapter.kind", "none"}}, "base", "adapter.kind");
  expect_both({{"reference.kind", "none"}}, "objective dpo", "reference.kind is none");
  expect_both({{"reference.kind", "models"}}, "reference.kind models", "reference.paths, got 0");
  expect_both({{"reference.paths", "a,b"}}, "reference.paths", "reference.kind auto");
  expect_both({{"reference.mix", "mrpo"}}, "reference.mix", "reference.kind auto");
  expect_both({{"reference.kind", "models"}, {"reference.paths", "a,b"}, {"reference.path", "c"}},
              "reference.path ",
              "reference.kind models");
  expect_both({{"reference.sync_mix", "0.5"}}, "reference.sync_mix", "reference.sync_every");
  expect_both({{"reference.sync_every", "5"}, {"reference.kind", "cached"}},
              "reference.sync_every",
              "reference.kind is cached");
  expect_both(
      {{"reference.sync_every", "5"}, {"reference.kind", "models"}, {"reference.paths", "a,b"}},
      "reference.sync_every",
      "reference.kind is models");
  expect_both({{"reference.sync_every", "5"}, {"train.early_stop_patience", "2"}},
              "reference.sync_every",
              "train.early_stop_patience");
  expect_both({{"train.output", "./m"}}, "train.output", "model.path");
  expect_both({{"data.max_completion_tokens", "1024"}},
              "data.max_completion_tokens",
              "data.max_tokens = 1024");
  expect_both({{"data.tag_temperature", "3"}}, "data.tag_temperature 3", "data.tag");
  EXPECT_THAT(check_message({{"data.values", "cost,cost"}}), HasSubstr("data.values names"));
  expect_both({{"data.held_out_fraction", "0"}, {"train.early_stop_patience", "2"}},
              "train.early_stop_patience 2",
              "data.held_out_fraction");
  expect_both({{"data.held_out_fraction", "0"}, {"train.eval_every", "2"}},
              "train.eval_every 2",
              "data.held_out_fraction");
  EXPECT_THAT(check_message({{"adapter.targets", ""}}), HasSubstr("adapter.targets is empty"));
}

TEST(CheckRun, RobustWeightsAreRefusedWhereNoItemHasALossOfItsOwn) {
  const auto with = [](const std::string& kind) {
    return check_message(
        {{"data.tag", "task"}, {"data.group_robust", "0.1"}, {"objective.kind", kind}});
  };
  EXPECT_EQ(with("dr_dpo"),
            "run.yaml: data.group_robust 0.1 weighs tags by the losses of their items, and "
            "objective dr_dpo gives every item the whole step's. Take another kind, or set "
            "data.group_robust: 0");
  EXPECT_THAT(with("aot_unpaired"), HasSubstr("objective aot_unpaired gives every item"));
  EXPECT_EQ(with("aot"), "no error");
  EXPECT_EQ(with("beta_dpo"), "no error");
  EXPECT_EQ(check_message({{"objective.kind", "dr_dpo"}}), "no error");
}

TEST(CheckRun, OptionsOfATermAreCheckedTogether) {
  EXPECT_EQ(check_message({{"objective.kind", "kto"},
                           {"objective.desirable_weight", "0"},
                           {"objective.undesirable_weight", "0"}}),
            "kto.desirable_weight and kto.undesirable_weight are both 0: there is nothing to "
            "learn. Set one of them above 0");
  EXPECT_EQ(check_message({{"objective.kind", "kto"}, {"objective.desirable_weight", "0"}}),
            "no error");
}

TEST(CheckRun, EarlyStoppingIsRefusedWhereTheLossMovesByItself) {
  const auto with = [](const std::string& kind, std::vector<Flag> more = {}) {
    more.insert(more.begin(), {{"objective.kind", kind}, {"train.early_stop_patience", "2"}});
    more.push_back({"data.values", "cost"});
    return check_message(more);
  };
  EXPECT_EQ(with("constraint"),
            "run.yaml: train.early_stop_patience compares held-out losses, and objective "
            "constraint changes what they measure from step to step. Set "
            "train.early_stop_patience: 0, or constraint.dual_lr: 0");
  EXPECT_THAT(with("bco_unpaired"), HasSubstr("objective bco_unpaired changes what they measure"));
  EXPECT_THAT(with("beta_dpo"), HasSubstr("objective beta_dpo changes what they measure"));
  EXPECT_EQ(with("constraint", {{"objective.dual_lr", "0"}}), "no error");
  EXPECT_EQ(with("kto"), "no error");
}

TEST(CheckRun, AConstraintReadsAColumnOrARule) {
  const auto with = [](std::vector<Flag> flags) {
    flags.insert(flags.begin(), {"objective.kind", "constraint"});
    return check_message(flags);
  };
  EXPECT_EQ(with({}),
            "run.yaml: objective constraint reads the values \"cost\", and data.values does not "
            "name that column. Set data.values: [cost]");
  EXPECT_EQ(with({{"objective.rule", "tokens"}, {"objective.limit", "64"}}), "no error");
  EXPECT_THAT(with({{"objective.rule", "tokens_over"}}), HasSubstr("constraint.limit, which is 0"));
}

TEST(CheckRun, SharesOfReferencesAreOnesThatSumToOne) {
  const auto with = [](const std::string& weights) {
    return check_message(
        {{"reference.kind", "models"}, {"reference.paths", "a,b"}, {"reference.weights", weights}});
  };
  EXPECT_EQ(with("0.7,0.3"), "no error");
  EXPECT_EQ(with(""), "no error");
  EXPECT_EQ(with("0.7"),
            "run.yaml: reference.weights has 1 numbers for the 2 of reference.paths; give one for "
            "each, or none");
  EXPECT_EQ(with("0.7,0.4"), "run.yaml: reference.weights must sum to 1, got 1.1");
  EXPECT_EQ(with("1.5,-0.5"), "run.yaml: reference.weights must be numbers above 0, got -0.5");
  EXPECT_EQ(with("0.7,0.3x"), "run.yaml: reference.weights must be numbers above 0, got 0.3x");
  ReferenceOptions four;
  four.paths = {"a", "b", "c", "d"};
  EXPECT_THAT(reference_weights(four), ElementsAre(0.25, 0.25, 0.25, 0.25));
}

std::string chosen(const std::vector<Flag>& flags) {
  const RunOptions run = read_run_text(kGood, "run.yaml", flags);
  check_run(run);
  const ReferenceChoice choice = choose_reference(reference_question(run));
  return choice.options.path.empty() ? choice.text() : choice.options.path + ": " + choice.text();
}

TEST(ChooseReference, AutoIsWhatTheRunNeeds) {
  EXPECT_EQ(chosen({}), "base");
  EXPECT_EQ(chosen({{"adapter.kind", "none"}}), "cached");
  EXPECT_EQ(chosen({{"reference.kind", "cached"}}), "cached");
  EXPECT_EQ(chosen({{"reference.sync_every", "5"}}), "base, pulled to the policy every 5 steps");
  EXPECT_EQ(chosen({{"reference.sync_every", "5"}, {"adapter.kind", "none"}}),
            "m: model (a second copy of the starting weights, which reference.sync_every pulls "
            "along), pulled to the policy every 5 steps");
  EXPECT_EQ(chosen({{"reference.kind", "models"}, {"reference.paths", "a,b"}}),
            "2 models, geometric mean");
}

TEST(ImportTrl, GivesARunFileWithTrlsDefaults) {
  const config::TrlImport got = config::import_trl(
      "model_name_or_path: HuggingFaceTB/SmolLM2-135M-Instruct\n"
      "dataset_name: trl-lib/ultrafeedback_binarized\n"
      "learning_rate: 5.0e-6\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 8\n"
      "beta: 0.05\nuse_peft: true\nlora_r: 32\nlora_target_modules: [q_proj, o_proj]\n"
      "lr_scheduler_type: cosine\nwarmup_ratio: 0.03\noutput_dir: out\nreport_to: wandb\n",
      "dpo.yaml");
  const RunOptions run = read_run_text(got.yaml, "imported");
  check_run(run);
  EXPECT_EQ(run.model.path, "HuggingFaceTB/SmolLM2-135M-Instruct");
  EXPECT_EQ(run.batch.comparisons, 16);  // 2 * 8
  EXPECT_EQ(run.optim.lr, 5e-6);
  EXPECT_EQ(run.optim.schedule, "cosine");
  EXPECT_EQ(run.optim.warmup_ratio, 0.03);
  EXPECT_EQ(std::get<objective::DpoOptions>(run.objective[0].options).beta, 0.05);
  EXPECT_EQ(run.adapter.rank, 32);
  EXPECT_THAT(run.adapter.targets, ElementsAre("q_proj", "o_proj"));
  EXPECT_EQ(run.train.epochs, 3);                      // TRL's default
  EXPECT_EQ(run.data.truncation, "completion_right");  // TRL's keep_start
  EXPECT_THAT(got.warnings,
              ElementsAre("dpo.yaml:13:1: report_to has no counterpart",
                          HasSubstr("dataset_name trl-lib/ultrafeedback_binarized")));
}

TEST(ImportTrl, WithoutPeftEveryWeightIsTrained) {
  const RunOptions run =
      read_run_text(config::import_trl("learning_rate: 1e-6\n", "dpo.yaml").yaml, "imported");
  EXPECT_EQ(run.adapter.kind, "none");
  EXPECT_EQ(run.batch.comparisons, 8);
}

TEST(ImportTrl, AReferenceThatMovesKeepsMoving) {
  const auto reference = [](const char* text) {
    return read_run_text(config::import_trl(text, "dpo.yaml").yaml, "imported").reference;
  };
  EXPECT_EQ(reference("ref_model_sync_steps: 64\n").sync_every, 0);
  EXPECT_EQ(reference("sync_ref_model: true\n").sync_every, 512);
  EXPECT_EQ(reference("sync_ref_model: true\n").sync_mix, 0.6);
  EXPECT_EQ(reference("{sync_ref_model: true, ref_model_sync_steps: 64}").sync_every, 64);
  EXPECT_EQ(reference("{sync_ref_model: true, ref_model_mixup_alpha: 1.0}").sync_mix, 1);
}

TEST(ImportTrl, EveryLossBecomesTheKindThatComputesIt) {
  const auto objective = [](const std::string& text) {
    std::string kinds;
    for (const auto& term :
         read_run_text(config::import_trl(text, "dpo.yaml").yaml, "imported").objective) {
      kinds += fmt::format("{}{}*{}", kinds.empty() ? "" : " + ", term.weight, term.kind);
    }
    return kinds;
  };
  EXPECT_EQ(objective("loss_type: [sigmoid, bco_pair, sft]\nloss_weights: [0.8, 0.2, 1.0]\n"),
            "0.8*dpo + 0.2*bco + 1*nll");
  EXPECT_EQ(objective("loss_type: sppo_hard\n"), "2*sppo");
  EXPECT_EQ(objective("ld_alpha: 0.3\n"), "1*ld_dpo");
  EXPECT_EQ(objective("use_weighting: true\n"), "1*wpo");
  for (const char* type : {"hinge",
                           "ipo",
                           "sigmoid_norm",
                           "nca_pair",
                           "robust",
                           "aot",
                           "aot_unpaired",
                           "apo_zero",
                           "apo_down",
                           "discopop"}) {
    EXPECT_EQ(objective(fmt::format("loss_type: {}\n", type)).substr(0, 2), "1*") << type;
  }
  const auto options = [](const std::string& text) {
    return read_run_text(config::import_trl(text, "dpo.yaml").yaml, "imported")
        .objective[0]
        .options;
  };
  EXPECT_EQ(std::get<objective::IpoOptions>(options("loss_type: ipo\nbeta: 0.3\n")).tau, 0.3);
  EXPECT_EQ(std::get<objective::ExoOptions>(options("loss_type: exo_pair\nlabel_smoothing: 0.01\n"))
                .label_smoothing,
            0.01);
  const auto f_dpo = std::get<objective::FDpoOptions>(
      options("f_divergence_type: alpha_divergence\nf_alpha_divergence_coef: 0.3\n"));
  EXPECT_EQ(f_dpo.divergence, "alpha");
  EXPECT_NEAR(f_dpo.alpha, 0.7, 1e-12);
}

TEST(ImportTrl, AnUnknownLossIsRefused) {
  EXPECT_THAT(message_of([] { config::import_trl("loss_type: [kto_pair]\n", "dpo.yaml"); }),
              HasSubstr("dpo.yaml:1:12: loss_type kto_pair has no counterpart."));
  EXPECT_THAT(
      message_of([] { config::import_trl("loss_type: ipo\nuse_weighting: true\n", "dpo.yaml"); }),
      HasSubstr("in the sigmoid loss only, got ipo"));
}

TEST(ImportTrl, AWrongTypeNamesItsPlace) {
  EXPECT_EQ(message_of([] { config::import_trl("beta: high\n", "dpo.yaml"); }),
            "dpo.yaml:1:1: beta must be a number, got high");
}

}  // namespace
}  // namespace attune::train
