#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/command.h"
#include "cli/input/file_form.h"
#include "cli/train/pool_yaml.h"
#include "cli/train/train_domains.h"
#include "cli/train/train_report_json.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "router_service/features/text_features.h"
#include "router_service/learning/cascades/cascade_trainer.h"
#include "router_service/learning/decisions/logged_outcomes.h"
#include "router_service/learning/gates/gate_trainer.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/text/scorer_trainer.h"
#include "router_service/learning/text/tensor_quality.h"
#include "router_service/learning/text/text_trainer.h"
#include "router_service/learning/train_report.h"
#include "router_service/learning/trainer.h"

namespace penstock::cli {
namespace {


struct TrainCommandOptions {
  router::TrainOptions train;
  std::vector<std::string> decisions;  // logs, instead of a table
  std::string pool;
  double tenant_share = 1;
  std::vector<uint32_t> in_domain_labels;
  std::string local_gate_tenant;
  bool text = false;
  uint32_t text_bits = router::TextFeatures::kBits;
  uint32_t character_ngrams = 0;
  uint32_t max_prompt_bytes = router::TextFeatures::kMaxBytes;
  std::string text_input, text_parameter;
  bool surface = false;
  bool fold_compatibility = false;
  std::string embeddings_folder;
  bool embeddings_alone = false;
  std::string model;  // unset: hashed_linear, and logistic without text
  std::string cards_file;
  int folds = 5;
  size_t max_bad_rows = 100;
  std::optional<double> count_factor;
  router::CountOptions count;
  std::string labels = "shared", activation = "tanh";
  std::string feature_input;
  uint32_t feature_cells = 0;
  bool json = false;
};

// Says on stderr what was joined and what was left out.
absl::StatusOr<router::LoggedOutcomes> ReadDecisions(const TrainCommandOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(
      router::LoggedOutcomes logged,
      router::ReadLoggedOutcomes(
          {options.decisions, options.pool, options.train.experts, options.max_bad_rows,
           options.tenant_share}));
  for (const std::string& note : logged.Notes()) std::fprintf(stderr, "%s\n", note.c_str());
  return logged;
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
  features.set_fold_compatibility(options.fold_compatibility);
  if (options.text_bits != router::TextFeatures::kBits) features.set_bits(options.text_bits);
  if (options.character_ngrams != 0) features.set_character_ngrams(options.character_ngrams);
  if (options.max_prompt_bytes != router::TextFeatures::kMaxBytes) {
    features.set_max_bytes(options.max_prompt_bytes);
  }
  if (!options.embeddings_folder.empty()) {
    features.mutable_embeddings()->set_folder(options.embeddings_folder);
    features.mutable_embeddings()->set_alone(options.embeddings_alone);
  }
  train.output_folder = options.train.output_folder;
  if (!options.model.empty()) train.model = options.model;
  train.folds = options.folds;
  train.date = absl::FormatTime("%Y-%m-%d", absl::Now(), absl::UTCTimeZone());
  const absl::Time start = absl::Now();
  const auto seconds = [start] { return absl::ToDoubleSeconds(absl::Now() - start); };
  std::vector<std::unique_ptr<router::QualityTrainer>> trainers = router::MakeQualityTrainers();
  if (!options.cards_file.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(std::vector<router::ExpertCard> cards,
                              router::ReadExpertCards(options.cards_file));
    trainers.push_back(router::MakePrototypeTrainer(std::move(cards), features));
  }
  router::TextTrainReport report;
  if (options.decisions.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(report, router::TrainText(train, trainers, seconds));
  } else {
    PENSTOCK_ASSIGN_OR_RETURN(const router::LoggedOutcomes logged, ReadDecisions(options));
    PENSTOCK_ASSIGN_OR_RETURN(const router::TextOutcomes outcomes,
                              router::ToTextOutcomes(logged, features));
    train.outcomes.file = absl::StrJoin(options.decisions, ",");
    PENSTOCK_ASSIGN_OR_RETURN(report, router::TrainTextOn(train, outcomes, trainers, seconds));
  }
  if (options.json) {
    std::printf("%s", router::TextTrainReportJson(report).c_str());
    return absl::OkStatus();
  }
  std::printf("%s%s", router::FormatTextTrainReport(report).c_str(),
              HowToServe(report.pool_yaml).c_str());
  return absl::OkStatus();
}

absl::StatusOr<router::TextTrainReport> CompareModels(const TrainCommandOptions& options,
                                                      const router::TrainOptions& train,
                                                      const router::OutcomeTable& table) {
  const absl::Time start = absl::Now();
  return router::TrainTensorQuality(train, table, options.model, options.folds, [start] {
    return absl::ToDoubleSeconds(absl::Now() - start);
  });
}

absl::Status CheckFiles(const TrainCommandOptions& options) {
  if (options.decisions.empty() && options.train.outcomes_file.empty()) {
    return absl::InvalidArgumentError("--outcomes or --decisions is required");
  }
  PENSTOCK_RETURN_IF_ERROR(
      CheckFileForm("--outcomes", options.train.outcomes_file, FileForm::kJsonLines));
  for (const std::string& log : options.decisions) {
    PENSTOCK_RETURN_IF_ERROR(CheckFileForm("--decisions", log, FileForm::kJsonLines));
  }
  return CheckFileForm("--cards", options.cards_file, FileForm::kPlainJsonLines);
}

// What the parser cannot say clearly enough.
absl::Status CheckTogether(const TrainCommandOptions& options) {
  if (options.text && !options.train.cascade.empty()) {
    return absl::InvalidArgumentError(
        "--cascade does not go with --text: a cascade reads how sure an answer was of itself, which a "
        "table of prompts does not tell; leave out one of the two");
  }
  if (options.model == "prototypes" && (!options.text || options.cards_file.empty())) {
    return absl::InvalidArgumentError(
        "--model prototypes wants --text and --cards FILE: JSON lines {\"expert\": \"small\", "
        "\"capability\": \"What it is good at.\", \"examples\": [\"a prompt\", ...]}, a line for each "
        "expert, as the pool's cards_file; requests are compared with what the cards say");
  }
  if (!options.cards_file.empty() && !options.text) {
    return absl::InvalidArgumentError("--cards wants --text: cards are compared with prompts");
  }
  return absl::OkStatus();
}

absl::Status RunTrain(const TrainCommandOptions& options) {
  PENSTOCK_RETURN_IF_ERROR(CheckTogether(options));
  PENSTOCK_RETURN_IF_ERROR(CheckFiles(options));
  if (!options.in_domain_labels.empty()) {
    return TrainDomainSmoothing(options.train.outcomes_file, options.in_domain_labels,
                                options.train.output_folder);
  }
  if (!options.local_gate_tenant.empty()) {
    return TrainLocalGate(options.train.outcomes_file, options.local_gate_tenant,
                          options.train.output_folder);
  }
  if (options.text) return RunTextTrain(options);
  router::TrainOptions train = options.train;
  train.labels = absl::AsciiStrToLower(options.labels) == "utility" ? router::GateLabels::kUtility
                                                                    : router::GateLabels::kShared;
  if (!config::v1::ActivationGate::Activation_Parse(absl::AsciiStrToUpper(options.activation),
                        &train.gate_options.activation)) {
    return absl::InvalidArgumentError(absl::StrCat("--activation: unknown ", options.activation));
  }
  auto& pooling = *train.features.mutable_tensor_pooling();
  pooling.set_input(options.feature_input);
  pooling.set_cells(options.feature_cells);
  if (options.count_factor) {
    train.count = options.count;
    train.count->factor = *options.count_factor;
  }
  train.date = absl::FormatTime("%Y-%m-%d", absl::Now(), absl::UTCTimeZone());
  router::TrainReport report;
  std::optional<router::TextTrainReport> models;
  if (options.decisions.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(report, router::Train(train));
    if (!options.model.empty()) {
      PENSTOCK_ASSIGN_OR_RETURN(
          const router::OutcomeTable table,
          router::ReadOutcomeTable({train.outcomes_file, train.inputs_file, train.input_dimension,
                                    train.features, train.experts}));
      PENSTOCK_ASSIGN_OR_RETURN(models, CompareModels(options, train, table));
    }
  } else {
    PENSTOCK_ASSIGN_OR_RETURN(const router::LoggedOutcomes logged, ReadDecisions(options));
    PENSTOCK_ASSIGN_OR_RETURN(const router::OutcomeTable table, router::ToOutcomeTable(logged));
    train.outcomes_file = absl::StrJoin(options.decisions, ",");
    PENSTOCK_ASSIGN_OR_RETURN(report, router::TrainOn(train, table));
    if (!options.model.empty()) {
      PENSTOCK_ASSIGN_OR_RETURN(models, CompareModels(options, train, table));
    }
  }
  const std::string pool_yaml = PoolYaml(train, report);
  if (options.json) {
    nlohmann::ordered_json json = TrainReportJson(report);
    json["pool_yaml"] = pool_yaml;
    if (models) {
      json["quality_models"] = nlohmann::ordered_json::parse(router::TextTrainReportJson(*models));
    }
    std::printf("%s\n", json.dump(2).c_str());
    return absl::OkStatus();
  }
  std::printf("%s", router::FormatTrainReport(report).c_str());
  if (models) std::printf("\nquality models\n%s\n", router::FormatContenders(*models).c_str());
  std::printf("%s", HowToServe(pool_yaml).c_str());
  return absl::OkStatus();
}

std::string GateHelp() {
  std::string help = "gate to train beside topk_softmax, which is always trained:";
  for (const router::GateTrainer& trainer : router::GateTrainers()) {
    absl::StrAppend(&help, "\n", trainer.name, ": ", trainer.purpose);
  }
  return help;
}

std::string PolicyHelp() {
  std::string help = "how a cascade's stages are decided over; unset: by --risk:";
  for (const router::CascadeTrainer& trainer : router::CascadeTrainers()) {
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
      "held-out figures beside random choice and the best single expert, and the lines of configuration\n"
      "that serve what was written. A line of the table:\n"
      "  {\"id\": 7, \"input\": {\"row\": 7}, \"experts\": {\"small\": {\"quality\": 1, \"confidence\": [0.9, 0.05],\n"
      "   \"joules\": 0.001, \"seconds\": 0.002}, ...}}\n"
      "with \"features\": [..] or \"input\": {TENSOR: [..]} where the inputs stand in the table itself.\n"
      "With --cascade and --risk, an answer of an earlier stage stands where it leads by enough, P(right)\n"
      "of it less that of the last stage, and how much is enough comes from the rows held out: requests\n"
      "like those of the table lose at most RISK of quality in the mean against the last stage alone.\n"
      "That wants 1 / RISK rows at the least, or every request goes on to the last stage; more rows let\n"
      "more answers stand.\n"
      "\n"
      "With --policy, the stages of --cascade are decided over in another way (see below), and the report\n"
      "has its quality and cost on held-out rows beside either end alone, the price rule at the same cost\n"
      "and chance. With --verifier, the price rule asks for second opinions near its boundary.\n"
      "\n"
      "With --gate, another gate is trained beside the top-k softmax one and written to NAME.safetensors;\n"
      "the report has its held-out quality less that of the top-k softmax gate and of random choice, with\n"
      "95 % confidence. It is served by gate: {NAME: {file: NAME.safetensors}} and\n"
      "selection: {score: GATE_MASS} in the pool.\n"
      "\n"
      "With --decisions, from the decision logs of routers (decision_log: {directory: DIR, features:\n"
      "true}) and the reports in them: each decision is a row that knows the one expert that answered, and\n"
      "its metered joules; blanks are learnt from nothing. Routing is then measured by doubly robust\n"
      "estimates, which need decisions that say how probable their choice was to be more than the models'\n"
      "own word. With --text for pools whose features are text.\n"
      "\n"
      "Examples:\n"
      "  penstock train --decisions router-1/decisions,router-2/decisions --pool digits --output trained\n"
      "  penstock train --text --outcomes outcomes.jsonl.gz --output trained\n"
      "  penstock train --outcomes outcomes.jsonl --output trained --gate comet\n"
      "  penstock train --outcomes outcomes.jsonl --output trained --cascade small,large --risk 0.02\n"
      "  penstock train --outcomes outcomes.jsonl --output trained --cascade small,large --policy automix\n"
      "  penstock train --text --model auto --outcomes outcomes.jsonl --output trained --json");
  CLI::Option* outcomes = command.add_option("--outcomes", options->train.outcomes_file,
                                             "outcome table, JSON lines (.gz too)");
  CLI::Option* decisions =
      command
          .add_option("--decisions", options->decisions,
                      "decision logs with features, of all routers that took reports: folders, or exports (.gz too)")
          ->delimiter(',')
          ->excludes(outcomes);
  command.add_option("--pool", options->pool, "with --decisions: whose; unset: the log has but one")
      ->needs(decisions);
  command
      .add_option("--tenant_share", options->tenant_share,
                  "with --decisions: most that one tenant has of the reports learned from, so that no\n"
                  "tenant's reports alone decide; nothing where fewer than 1 / share tenants report")
      ->check(CLI::Range(0.001, 1.0))
      ->needs(decisions);
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
                      "with --risk or --policy: stages in the order asked, the last the dearest")
          ->delimiter(',');
  CLI::Option* risk = command.add_option(
      "--risk", options->train.risk,
      "most probability, in (0, 1), that an earlier stage's wrong answer stands where the last one's\n"
      "is right; unset: the cascade weighs gain against price");
  decisions->excludes(cascade);
  risk->needs(cascade);
  CLI::Option* policy =
      command.add_option("--policy", options->train.cascade_policy, PolicyHelp())->needs(cascade);
  command
      .add_option("--tradeoff", options->train.tradeoff,
                  "with --policy jei: worth of asking every stage, in quality units")
      ->capture_default_str()
      ->needs(policy);
  CLI::Option* verifier = command.add_option(
      "--verifier", options->train.verifier,
      "expert whose second opinion is asked for where price hardly decides; with --price, what that\n"
      "is worth is reported (cascade.slow_check in the pool)");
  CLI::Option* text = command.add_flag("--text", options->text, "the table holds prompts (see above)");
  for (CLI::Option* option : {risk, policy, verifier}) option->excludes(text);
  CLI::Option* labels =
      command
          .add_option("--labels", options->labels,
                      "what gates learn of a request: shared among all that are right, or, with\n"
                      "--price, best at it on the mean; or utility: the one of the largest quality less\n"
                      "priced cost of that request, ties to the cheaper")
          ->check(CLI::IsMember({"shared", "utility"}, CLI::ignore_case))
          ->capture_default_str();
  CLI::Option* count = command.add_option(
      "--count", options->count_factor,
      "trains how many experts a request asks for (selection.count_file in the pool): one more is\n"
      "worth it where it divides the vote's error by this factor, above 1");
  command.add_option("--count_most", options->count.most, "with --count: at most, in [2, 16]")
      ->capture_default_str()
      ->needs(count);
  command
      .add_option("--count_share", options->count.share,
                  "with --count: mean count over the most, that the training rows shall have")
      ->needs(count);
  for (CLI::Option* option : {labels, count}) option->excludes(text);
  command
      .add_option("--gate", options->train.gate, GateHelp())
      ->capture_default_str()
      ->excludes(text);
  command.add_option("--gate_k", options->train.gate_options.k,
                     "with --gate dselect_k or comet: selectors or trees, in [1, 16]")
      ->capture_default_str();
  command
      .add_option("--activation", options->activation,
                  "with --gate activation; identity wants --temperature")
      ->check(CLI::IsMember({"tanh", "sigmoid", "gelu", "identity"}, CLI::ignore_case))
      ->capture_default_str();
  command.add_option("--temperature", options->train.gate_options.temperature,
                     "with --gate activation: fixed, above 0; unset: learned");
  command.add_option("--model", options->model,
                     "hashed_linear (unset, --text), logistic (unset, without), knn (the most alike requests\n"
                     "of the table), mlp (one hidden layer), mf (matrix factorisation), with --text mean and,\n"
                     "with --cards, prototypes; or auto: all are compared over folds, and the simplest\n"
                     "within one standard error of the best is written");
  command.add_option("--cards", options->cards_file,
                     "with --text: cards of the experts, as the pool's cards_file, for prototypes");
  command.add_option("--folds", options->folds, "with --model or --text: parts, each predicted from the others")
      ->capture_default_str();
  command.add_option("--max_bad_rows", options->max_bad_rows,
                     "with --text or --decisions: malformed rows that are named and left out; one more\n"
                     "stops the run")
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
  command.add_flag("--fold_compatibility", options->fold_compatibility,
                   "as the pool's features.text.fold_compatibility");
  auto* embeddings = command.add_option("--embeddings", options->embeddings_folder,
                                        "as the pool's features.text.embeddings.folder")
                         ->check(CLI::ExistingDirectory);
  command
      .add_flag("--embeddings_alone", options->embeddings_alone,
                "as the pool's features.text.embeddings.alone: no words are hashed")
      ->needs(embeddings);
  command.add_flag("--surface", options->surface, "as the pool's features.text.surface");
  command
      .add_option("--domain_smoothing", options->in_domain_labels,
                  "fits the gate of combiner SMOOTHED_DOMAINS instead: these are the labels of the\n"
                  "in-domain expert, a line of --outcomes is {\"general\": [..], \"in_domain\": [..],\n"
                  "\"label\": 3}, what both experts said over all labels and the right one")
      ->delimiter(',')
      ->excludes(text);
  command
      .add_option("--local_gate", options->local_gate_tenant,
                  "fits this tenant's gate of the pool's customisation instead: a line of --outcomes is\n"
                  "{\"tenant\": \"acme\", \"global\": [..], \"local\": [..], \"z\": [..], \"label\": 3}, what\n"
                  "the global expert and the tenant's own said; lines without tenant are generic")
      ->excludes(text);
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunTrain(*options); }; });
}

}  // namespace penstock::cli
