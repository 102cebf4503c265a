#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/command.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "router_service/learning/train_report.h"
#include "router_service/learning/trainer.h"

namespace penstock::cli {
namespace {

struct TrainCommandOptions {
  router::TrainOptions train;
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
  return json;
}

absl::Status RunTrain(const TrainCommandOptions& options) {
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

}  // namespace

void RegisterTrain(CLI::App& app, Run& run) {
  auto options = std::make_shared<TrainCommandOptions>();
  CLI::App& command = *app.add_subcommand(
      "train",
      "Fits a pool's gate, calibrated quality and cascade from a table of outcomes, and prints held-out\n"
      "figures beside random choice and the best single expert. A line of the table:\n"
      "  {\"id\": 7, \"input\": {\"row\": 7}, \"experts\": {\"small\": {\"quality\": 1, \"confidence\": [0.9, 0.05],\n"
      "   \"joules\": 0.001, \"seconds\": 0.002}, ...}}\n"
      "with \"features\": [..] or \"input\": {TENSOR: [..]} where the inputs stand in the table itself");
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
  command.add_option("--heldout_share", options->train.heldout_share, "share that only measures")
      ->capture_default_str();
  command.add_option("--price", options->train.price, "quality units per unit of cost, for the gate's targets")
      ->capture_default_str();
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunTrain(*options); }; });
}

}  // namespace penstock::cli
