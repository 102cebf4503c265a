#include <CLI/CLI.hpp>

#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/command.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "router_service/features/text_features.h"
#include "router_service/learning/gates/gate_trainer.h"
#include "router_service/learning/text/text_trainer.h"
#include "router_service/learning/train_report.h"
#include "router_service/learning/trainer.h"

namespace penstock::cli {
namespace {

using Activation = config::v1::ActivationGate::Activation;

struct TrainCommandOptions {
  router::TrainOptions train;
  bool text = false;
  uint32_t text_bits = router::TextFeatures::kBits;
  uint32_t character_ngrams = 0;
  uint32_t max_prompt_bytes = router::TextFeatures::kMaxBytes;
  std::string text_input, text_parameter;
  bool surface = false;
  std::string model = "hashed_linear";
  int folds = 5;
  size_t max_bad_rows = 100;
  std::string feature_input;
  uint32_t feature_cells = 0;
  bool json = false;
};

nlohmann::ordered_json ReportJson(const router::TrainReport& report) {
  nlohmann::ordered_json json = {{"rows", report.rows},
                                 {"train_rows", report.train_rows},
                                 {"heldout_rows", report.heldout_rows},
                                 {"seed", report.seed},
                                 {"cost_unit", report.cost_unit},
                                 {"regret", report.regret},
                                 {"gate_minus_random", report.gate_minus_random},
                                 {"gate_minus_random_error", report.gate_minus_random_error},
                                 {"minimum_k", report.minimum_k},
                                 {"files", report.files},
                                 {"warnings", report.warnings}};
  for (const router::ExpertReport& expert : report.experts) {
    json["experts"].push_back({{"name", expert.name},
                               {"quality", expert.quality},
                               {"mean_cost", expert.mean_cost},
                               {"brier", expert.fit.brier},
                               {"ece", expert.fit.ece},
                               {"tau", expert.tau}});
  }
  for (const router::PolicyReport& policy : report.policies) {
    json["policies"].push_back({{"name", policy.name},
                                {"quality", policy.quality},
                                {"standard_error", policy.standard_error},
                                {"mean_cost", policy.mean_cost}});
  }
  if (report.gate) {
    const router::GateReport& gate = *report.gate;
    const auto difference = [](const router::GateDifference& minus) {
      return nlohmann::ordered_json{
          {"difference", minus.difference}, {"low", minus.low}, {"high", minus.high}};
    };
    json["gate"] = {{"name", gate.name},
                    {"quality", gate.quality},
                    {"standard_error", gate.standard_error},
                    {"experts_asked", gate.experts_asked},
                    {"minus_topk_softmax", difference(gate.minus_topk_softmax)},
                    {"minus_random", difference(gate.minus_random)}};
  }
  if (report.cascade_risk) {
    const router::CascadeRiskReport& risk = *report.cascade_risk;
    const auto point = [](const router::CascadeRiskPoint& at) {
      return nlohmann::ordered_json{
          {"lead", at.lead}, {"risk", at.risk}, {"accepted", at.accepted}};
    };
    json["cascade_risk"] = {{"stages", risk.stages},
                            {"rows", risk.rows},
                            {"alpha", risk.alpha},
                            {"always_escalates", risk.always_escalates},
                            {"before", point(risk.before)},
                            {"after", point(risk.after)}};
  }
  return json;
}

absl::Status RunTextTrain(const TrainCommandOptions& options) {
  router::TextTrainOptions train;
  train.outcomes.file = options.train.outcomes_file;
  train.outcomes.experts = options.train.experts;
  train.outcomes.max_bad_rows = options.max_bad_rows;
  config::v1::TextFeatures& features = train.outcomes.features;
  features.set_input(options.text_input);
  features.set_parameter(options.text_parameter);
  features.set_surface(options.surface);
  if (options.text_bits != router::TextFeatures::kBits) features.set_bits(options.text_bits);
  if (options.character_ngrams != 0) features.set_character_ngrams(options.character_ngrams);
  if (options.max_prompt_bytes != router::TextFeatures::kMaxBytes) {
    features.set_max_bytes(options.max_prompt_bytes);
  }
  train.output_folder = options.train.output_folder;
  train.model = options.model;
  train.folds = options.folds;
  train.date = absl::FormatTime("%Y-%m-%d", absl::Now(), absl::UTCTimeZone());
  const absl::Time start = absl::Now();
  PENSTOCK_ASSIGN_OR_RETURN(
      const router::TextTrainReport report,
      router::TrainText(train, router::MakeQualityTrainers(),
                        [start] { return absl::ToDoubleSeconds(absl::Now() - start); }));
  std::printf("%s", options.json ? router::TextTrainReportJson(report).c_str()
                                 : router::FormatTextTrainReport(report).c_str());
  return absl::OkStatus();
}

absl::Status RunTrain(const TrainCommandOptions& options) {
  if (options.text) return RunTextTrain(options);
  router::TrainOptions train = options.train;
  auto& pooling = *train.features.mutable_tensor_pooling();
  pooling.set_input(options.feature_input);
  pooling.set_cells(options.feature_cells);
  train.date = absl::FormatTime("%Y-%m-%d", absl::Now(), absl::UTCTimeZone());
  PENSTOCK_ASSIGN_OR_RETURN(const router::TrainReport report, router::Train(train));
  std::printf("%s", options.json ? (ReportJson(report).dump(2) + "\n").c_str()
                                 : router::FormatTrainReport(report).c_str());
  return absl::OkStatus();
}

std::string GateHelp() {
  std::string help = "gate to train beside topk_softmax, which is always trained:";
  for (const router::GateTrainer& trainer : router::GateTrainers()) {
    absl::StrAppend(&help, "\n", trainer.name, ": ", trainer.purpose);
  }
  return help;
}

}  // namespace

void RegisterTrain(CLI::App& app, Run& run) {
  auto options = std::make_shared<TrainCommandOptions>();
  CLI::App& command = *app.add_subcommand(
      "train",
      "Learns from a table of outcomes which expert to ask.\n"
      "\n"
      "With --text, for pools whose requests are prompts: quality.safetensors, which says of each prompt\n"
      "how likely every expert is right and how long its answer will be. A line of the table:\n"
      "  {\"prompt\": \"Why is the sky blue?\", \"group\": \"sky blue\", \"experts\": {\n"
      "   \"small\": {\"quality\": 0, \"out_tokens\": 120, \"joules\": 14}, \"large\": {\"quality\": 1, ...}}}\n"
      "quality is in [0, 1] (null: unknown); out_tokens, joules and seconds may be left out, but without\n"
      "any of them nothing can be said about cost. Prompts that ask the same in other words share a\n"
      "group, so that the figures are not of prompts already seen. Prints every model's figures on\n"
      "prompts that it was not fitted on, beside mixing single experts at random, and the two lines of\n"
      "configuration that serve the file. Some thousand rows are enough to begin with.\n"
      "\n"
      "Without --text, for numeric inputs: a gate, calibrated quality and the cascade's pairs, with\n"
      "held-out figures beside random choice and the best single expert. A line of the table:\n"
      "  {\"id\": 7, \"input\": {\"row\": 7}, \"experts\": {\"small\": {\"quality\": 1, \"confidence\": [0.9, 0.05],\n"
      "   \"joules\": 0.001, \"seconds\": 0.002}, ...}}\n"
      "with \"features\": [..] or \"input\": {TENSOR: [..]} where the inputs stand in the table itself.\n"
      "With --cascade and --risk, an answer of an earlier stage stands where it leads by enough, P(right)\n"
      "of it less that of the last stage, and how much is enough comes from the rows held out: requests\n"
      "like those of the table lose at most RISK of quality in the mean against the last stage alone.\n"
      "That wants 1 / RISK rows at the least, or every request goes on to the last stage; more rows let\n"
      "more answers stand.\n"
      "\n"
      "With --gate, another gate is trained beside the top-k softmax one and written to NAME.safetensors;\n"
      "the report has its held-out quality less that of the top-k softmax gate and of random choice, with\n"
      "95 % confidence. It is served by gate: {NAME: {file: NAME.safetensors}} and\n"
      "selection: {score: GATE_MASS} in the pool.\n"
      "\n"
      "Examples:\n"
      "  penstock train --text --outcomes outcomes.jsonl.gz --output trained\n"
      "  penstock train --outcomes outcomes.jsonl --output trained --gate comet\n"
      "  penstock train --outcomes outcomes.jsonl --output trained --cascade small,large --risk 0.02\n"
      "  penstock train --text --model auto --outcomes outcomes.jsonl --output trained --json");
  command.add_option("--outcomes", options->train.outcomes_file, "outcome table, JSON lines (.gz too)")
      ->required();
  command.add_option("--inputs", options->train.inputs_file, "raw fp32 matrix that rows point into");
  command.add_option("--dimension", options->train.input_dimension, "its columns");
  command.add_option("--output", options->train.output_folder,
                     "folder for gate, quality and cascade .safetensors")
      ->required();
  command.add_option("--experts", options->train.experts, "experts to fit; unset: the table's")
      ->delimiter(',');
  command.add_option("--feature_input", options->feature_input,
                     "as the pool's features.tensor_pooling.input");
  command.add_option("--feature_cells", options->feature_cells,
                     "as the pool's features.tensor_pooling.cells");
  command.add_option("--seed", options->train.seed, "seed of split and folds")->capture_default_str();
  command.add_option("--heldout_share", options->train.heldout_share,
                     "share that nothing is fitted on: it measures, and calibrates --risk")
      ->capture_default_str();
  command.add_option("--price", options->train.price, "quality units per unit of cost, for the gate's targets")
      ->capture_default_str();
  CLI::Option* cascade =
      command
          .add_option("--cascade", options->train.cascade,
                      "with --risk: stages in the order asked, the last the dearest")
          ->delimiter(',');
  CLI::Option* risk = command.add_option(
      "--risk", options->train.risk,
      "most probability, in (0, 1), that an earlier stage's wrong answer stands where the last one's\n"
      "is right; unset: the cascade weighs gain against price");
  cascade->needs(risk);
  risk->needs(cascade);
  CLI::Option* text = command.add_flag("--text", options->text, "the table holds prompts (see above)");
  risk->excludes(text);
  command
      .add_option("--gate", options->train.gate, GateHelp())
      ->capture_default_str()
      ->excludes(text);
  command.add_option("--gate_k", options->train.gate_options.k,
                     "with --gate dselect_k or comet: selectors or trees, in [1, 16]")
      ->capture_default_str();
  command
      .add_option("--activation", options->train.gate_options.activation,
                  "with --gate activation: tanh, sigmoid, gelu, or identity with --temperature")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Activation>{{"tanh", config::v1::ActivationGate::TANH},
                                            {"sigmoid", config::v1::ActivationGate::SIGMOID},
                                            {"gelu", config::v1::ActivationGate::GELU},
                                            {"identity", config::v1::ActivationGate::IDENTITY}},
          CLI::ignore_case));
  command.add_option("--temperature", options->train.gate_options.temperature,
                     "with --gate activation: fixed, above 0; unset: learned");
  command.add_option("--model", options->model,
                     "with --text: hashed_linear, mean, or auto: all are compared over folds, and the\n"
                     "simplest within one standard error of the best is written")
      ->capture_default_str();
  command.add_option("--folds", options->folds, "with --text: parts, each predicted from the others")
      ->capture_default_str();
  command.add_option("--max_bad_rows", options->max_bad_rows,
                     "with --text: malformed rows that are named and left out; one more stops the run")
      ->capture_default_str();
  command.add_option("--text_input", options->text_input, "as the pool's features.text.input");
  command.add_option("--text_parameter", options->text_parameter,
                     "as the pool's features.text.parameter");
  command.add_option("--text_bits", options->text_bits, "as the pool's features.text.bits")
      ->capture_default_str();
  command.add_option("--character_ngrams", options->character_ngrams,
                     "as the pool's features.text.character_ngrams; 0: none")
      ->capture_default_str();
  command.add_option("--max_prompt_bytes", options->max_prompt_bytes,
                     "as the pool's features.text.max_bytes")
      ->capture_default_str();
  command.add_flag("--surface", options->surface, "as the pool's features.text.surface");
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunTrain(*options); }; });
}

}  // namespace penstock::cli
