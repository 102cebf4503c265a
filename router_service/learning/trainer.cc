#include "router_service/learning/trainer.h"
#include "router_service/quality/artifact_checksum.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <numeric>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"
#include "router_service/features/feature_extractor.h"
#include "router_service/gating/expert_columns.h"
#include "router_service/gating/gate.h"
#include "router_service/gating/minimum_k.h"
#include "router_service/learning/cascades/cascade_file.h"
#include "router_service/learning/cascades/cascade_training.h"
#include "router_service/learning/gate_targets.h"
#include "router_service/learning/gates/gate_comparison.h"
#include "router_service/learning/linear/logistic_heads.h"
#include "router_service/learning/linear/softmax_regression.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/policies/logged_policies.h"
#include "router_service/learning/policies/policy_evaluation.h"
#include "router_service/learning/prediction_metrics.h"
#include "router_service/learning/table_split.h"

namespace penstock::router {
namespace {

constexpr int kFolds = 5;
constexpr size_t kLeastRows = 20;

absl::Status CheckGate(const TrainOptions& options) {
  constexpr size_t kMostSelectors = 16;
  if (options.gate == "topk_softmax") return absl::OkStatus();
  if (FindGateTrainer(options.gate) == nullptr) {
    std::string known = "topk_softmax";
    for (const GateTrainer& trainer : GateTrainers()) absl::StrAppend(&known, ", ", trainer.name);
    return absl::InvalidArgumentError(
        absl::StrCat("gate is ", options.gate, ", wanted one of ", known));
  }
  if (options.gate_options.k < 1 || options.gate_options.k > kMostSelectors) {
    return absl::InvalidArgumentError(absl::StrCat("gate_k is ", options.gate_options.k,
                                                   ", wanted 1 to ", kMostSelectors));
  }
  if (options.output_folder.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("output_folder is not set, but gate ",
                                                   options.gate, " is measured from its file"));
  }
  return absl::OkStatus();
}

absl::Status Check(const TrainOptions& options) {
  if (!(options.heldout_share >= 0.05 && options.heldout_share <= 0.9)) {
    return absl::InvalidArgumentError(
        absl::StrCat("heldout_share is ", options.heldout_share, ", wanted 0.05 to 0.9"));
  }
  if (!(options.price >= 0) || !std::isfinite(options.price)) {
    return absl::InvalidArgumentError(
        absl::StrCat("price is ", options.price, ", wanted at least 0"));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckCascade(options));
  if (options.count) PENSTOCK_RETURN_IF_ERROR(CheckCount(*options.count));
  PENSTOCK_RETURN_IF_ERROR(CheckGate(options));
  std::vector<std::string> names = options.experts;
  std::sort(names.begin(), names.end());
  if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
    return absl::InvalidArgumentError("experts: a name stands twice");
  }
  return absl::OkStatus();
}

absl::Span<const float> Row(const OutcomeTable& table, size_t row) {
  return absl::MakeConstSpan(table.features).subspan(row * table.dimension, table.dimension);
}

std::vector<float> Predictions(const LogisticHeads& heads, const OutcomeTable& table) {
  std::vector<float> result(table.experts.size() * table.rows());
  for (size_t e = 0; e < table.experts.size(); ++e) {
    for (size_t row = 0; row < table.rows(); ++row) {
      result[table.At(e, row)] = heads.Predict(e, Row(table, row));
    }
  }
  return result;
}

std::vector<float> Logits(const SoftmaxFit& gate, const OutcomeTable& table) {
  std::vector<float> result(table.experts.size() * table.rows());
  for (size_t e = 0; e < table.experts.size(); ++e) {
    for (size_t row = 0; row < table.rows(); ++row) {
      const absl::Span<const float> z = Row(table, row);
      result[table.At(e, row)] = static_cast<float>(
          std::inner_product(z.begin(), z.end(),
                             gate.weight.begin() + static_cast<std::ptrdiff_t>(e * table.dimension),
                             static_cast<double>(gate.bias[e])));
    }
  }
  return result;
}

void DescribeExperts(const OutcomeTable& train, const OutcomeTable& heldout,
                     const LogisticHeads& heads, const std::vector<float>& predictions,
                     TrainReport& report) {
  const std::vector<double> cost = MeanCosts(heldout);
  for (size_t e = 0; e < heldout.experts.size(); ++e) {
    const auto labels =
        absl::MakeConstSpan(heldout.quality).subspan(e * heldout.rows(), heldout.rows());
    ExpertReport expert;
    expert.name = heldout.experts[e];
    for (const float label : labels) expert.heldout_rows += !std::isnan(label);
    expert.quality = MeanQuality(heldout, e);
    expert.mean_cost = cost[e];
    expert.fit =
        FitOf(absl::MakeConstSpan(predictions).subspan(e * heldout.rows(), heldout.rows()), labels);
    expert.l2 = heads.l2[e];
    expert.tau = heads.tau[e];
    const double mean = MeanQuality(train, e);
    if (mean == 0 || mean == 1) {
      report.warnings.push_back(absl::StrCat("expert \"", expert.name, "\" is ",
                                             mean == 1 ? "right" : "wrong",
                                             " on every training row: nothing to learn from"));
    } else if (expert.fit.ece > 0.05) {
      report.warnings.push_back(absl::StrCat("expert \"", expert.name,
                                             "\" has a calibration error of ", expert.fit.ece,
                                             " on held-out rows"));
    }
    report.experts.push_back(std::move(expert));
  }
}

void ComparePolicies(const OutcomeTable& train, const OutcomeTable& heldout,
                     const std::vector<float>& logits, const std::vector<float>& predictions,
                     TrainReport& report) {
  const size_t experts = heldout.experts.size(), rows = heldout.rows();
  const std::vector<size_t> gate = LargestScore(logits, experts, rows);
  size_t best = 0;
  for (size_t e = 1; e < experts; ++e) {
    if (MeanQuality(train, e) > MeanQuality(train, best)) best = e;
  }
  report.policies = {
      EvaluateChoice("gate", heldout, gate),
      EvaluateChoice("quality_argmax", heldout, LargestScore(predictions, experts, rows)),
      EvaluateRandom(heldout),
      EvaluateChoice("best_single", heldout, std::vector<size_t>(rows, best)),
      EvaluateChoice("oracle", heldout, LargestScore(heldout.quality, experts, rows))};
  report.regret = report.policies.back().quality - report.policies.front().quality;
  CompareWithRandom(heldout, gate, report.gate_minus_random, report.gate_minus_random_error);
}

// Experts whose recorded answers agree, and what that asks of the gate's k.
void DescribeCells(const OutcomeTable& table, TrainReport& report) {
  const size_t experts = table.experts.size();
  std::vector<double> agreement(experts * experts, 0.0);
  for (size_t a = 0; a < experts; ++a) {
    for (size_t b = 0; b < experts; ++b) {
      double same = 0, both = 0;
      for (size_t row = 0; row < table.rows(); ++row) {
        const size_t of_a = table.answers[table.At(a, row)], of_b = table.answers[table.At(b, row)];
        both += of_a != 0 && of_b != 0;
        same += of_a != 0 && of_a == of_b;
      }
      if (both > 0) agreement[a * experts + b] = same / both;
    }
  }
  const std::vector<size_t> cell = BehaviourCells(experts, agreement);
  std::vector<size_t> sizes(*std::max_element(cell.begin(), cell.end()) + 1, 0);
  for (const size_t c : cell) ++sizes[c];
  report.minimum_k = MinimumK(sizes, 1);
  for (size_t e = 0; e < experts; ++e) {
    const size_t first =
        static_cast<size_t>(std::find(cell.begin(), cell.end(), cell[e]) - cell.begin());
    if (first == e) continue;
    report.warnings.push_back(absl::StrCat("experts \"", table.experts[first], "\" and \"",
                                           table.experts[e],
                                           "\" answer alike on over 90 % of the requests: a gate "
                                           "that runs both pays twice for one answer"));
  }
}

class Writer {
 public:
  Writer(const TrainOptions& options, const OutcomeTable& table, TrainReport& report)
      : options_(options), experts_(static_cast<int64_t>(table.experts.size())), report_(report) {
    metadata_["experts"] = ExpertsMetadata(table.experts);
    const config::v1::TensorPooling& pooling = options.features.tensor_pooling();
    // Of a table that has z itself, nobody knows what it was made by.
    const bool made = options.features.kind_case() != config::v1::Features::KIND_NOT_SET;
    if (made || table.dimension == 0) metadata_["features"] = FeaturesMetadata(options.features);
    metadata_["features_input"] = pooling.input();
    metadata_["features_cells"] = absl::StrCat(pooling.cells());
    metadata_["dimension"] = absl::StrCat(table.dimension);
    metadata_["date"] = options.date;
    metadata_["seed"] = absl::StrCat(options.seed);
    metadata_["price"] = absl::StrCat(options.price);
    metadata_["train_rows"] = absl::StrCat(report.train_rows);
    metadata_["heldout_rows"] = absl::StrCat(report.heldout_rows);
  }

  absl::Status Write(const std::string& name, const std::vector<SafetensorsTensor>& tensors,
                     const std::map<std::string, std::string>& more) {
    std::map<std::string, std::string> metadata = metadata_;
    metadata.insert(more.begin(), more.end());
    metadata["checksum"] = ArtifactChecksum(tensors);
    const std::string path = (std::filesystem::path(options_.output_folder) / name).string();
    PENSTOCK_RETURN_IF_ERROR(WriteSafetensors(path, tensors, metadata));
    report_.files.push_back(path);
    return absl::OkStatus();
  }

  int64_t experts() const { return experts_; }

 private:
  const TrainOptions& options_;
  const int64_t experts_;
  TrainReport& report_;
  std::map<std::string, std::string> metadata_;
};

std::vector<float> Floats(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

// What LogisticQuality's uncertainty is made of.
struct FeatureSpread {
  std::vector<float> mean, squares;  // [dimension]
  std::vector<float> curvature;      // [experts]
};
FeatureSpread SpreadOf(const OutcomeTable& table, const LogisticHeads& heads) {
  FeatureSpread spread;
  const double rows = static_cast<double>(table.rows());
  for (size_t j = 0; j < table.dimension; ++j) {
    double sum = 0, squares = 0;
    for (size_t row = 0; row < table.rows(); ++row) sum += Row(table, row)[j];
    for (size_t row = 0; row < table.rows(); ++row) {
      const double off = Row(table, row)[j] - sum / rows;
      squares += off * off;
    }
    spread.mean.push_back(static_cast<float>(sum / rows));
    spread.squares.push_back(static_cast<float>(squares));
  }
  for (size_t e = 0; e < table.experts.size(); ++e) {
    double known = 0;
    for (size_t row = 0; row < table.rows(); ++row) {
      known += !std::isnan(table.quality[table.At(e, row)]);
    }
    const double q = std::clamp(heads.mean[e], 0.01, 0.99);
    spread.curvature.push_back(static_cast<float>(q * (1 - q) * std::max(known, 1.0) / rows));
  }
  return spread;
}

absl::Status WriteFiles(const TrainOptions& options, const OutcomeTable& table,
                        const SoftmaxFit& gate, const LogisticHeads& heads,
                        const CascadeParts& cascade, TrainReport& report) {
  std::error_code error;
  std::filesystem::create_directories(options.output_folder, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat("output_folder ", options.output_folder,
                                                   " cannot be made: ", error.message()));
  }
  Writer writer(options, table, report);
  const int64_t e = writer.experts(), d = static_cast<int64_t>(table.dimension);
  std::string quality, brier, ece;
  for (const ExpertReport& expert : report.experts) {
    const char* comma = quality.empty() ? "" : ",";
    absl::StrAppend(&quality, comma, expert.quality);
    absl::StrAppend(&brier, comma, expert.fit.brier);
    absl::StrAppend(&ece, comma, expert.fit.ece);
  }
  PENSTOCK_RETURN_IF_ERROR(
      writer.Write("gate.safetensors", {{"weight", {e, d}, gate.weight}, {"bias", {e}, gate.bias}},
                   {{"kind", "topk_softmax"},
                    {"l2", absl::StrCat(gate.l2)},
                    {"heldout_quality", absl::StrCat(report.policies.front().quality)},
                    {"heldout_regret",
                     report.partial ? "unknown" : absl::StrCat(report.regret)}}));
  const FeatureSpread spread = SpreadOf(table, heads);
  PENSTOCK_RETURN_IF_ERROR(writer.Write("quality.safetensors",
                                        {{"weight", {e, d}, heads.weight},
                                         {"bias", {e}, heads.bias},
                                         {"mean", {e}, Floats(heads.mean)},
                                         {"tau", {e}, Floats(heads.tau)},
                                         {"feature_mean", {d}, spread.mean},
                                         {"feature_squares", {d}, spread.squares},
                                         {"rows", {1}, {static_cast<float>(table.rows())}},
                                         {"curvature", {e}, spread.curvature}},
                                        {{"kind", "logistic_quality"},
                                         {"heldout_quality", quality},
                                         {"heldout_brier", brier},
                                         {"heldout_ece", ece}}));
  const std::optional<CascadeFile> file = MakeCascadeFile(
      cascade, table.experts, options.cascade, report.cascade_risk ? &*report.cascade_risk : nullptr);
  if (!file) return absl::OkStatus();
  return writer.Write("cascade.safetensors", file->tensors, file->metadata);
}

// Trains the gate that was asked for, writes its file and measures what the router makes of it.
// `topk_softmax`: the expert of each held-out row by the gate that is always trained.
absl::Status AddGate(const TrainOptions& options, const OutcomeTable& table,
                     const OutcomeTable& train, const OutcomeTable& heldout,
                     const std::vector<int>& fold, const std::vector<size_t>& topk_softmax,
                     TrainReport& report) {
  const GateTrainer& trainer = *FindGateTrainer(options.gate);
  GateTrainingSet set;
  set.experts = train.experts;
  set.dimension = train.dimension;
  set.features = train.features;
  set.targets = GateTargets(train, options.labels, options.price);
  set.quality = train.quality;
  if (!train.cost_unit.empty()) set.cost = MeanCosts(train);
  set.fold = fold;
  set.seed = options.seed;
  set.options = options.gate_options;
  PENSTOCK_ASSIGN_OR_RETURN(TrainedGate trained, trainer.train(set));
  trained.metadata["kind"] = trainer.name;
  Writer writer(options, table, report);
  PENSTOCK_RETURN_IF_ERROR(writer.Write(absl::StrCat(trainer.name, ".safetensors"),
                                        trained.tensors, trained.metadata));
  report.warnings.insert(report.warnings.end(), trained.warnings.begin(), trained.warnings.end());
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::unique_ptr<const Gate> gate,
      MakeGate(trainer.configure(report.files.back(), options.gate_options), table.experts,
               table.dimension));
  report.gate = CompareGate(trainer.name, *gate, heldout, topk_softmax, options.seed);
  return absl::OkStatus();
}

// Trains and measures the gate of counts, and writes its file.
absl::Status AddCount(const TrainOptions& options, const OutcomeTable& table,
                      const OutcomeTable& train, const OutcomeTable& heldout,
                      const std::vector<int>& fold, const LogisticHeads& heads,
                      TrainReport& report) {
  const CountFit fit = FitCount(train, fold, kFolds, Predictions(heads, train), *options.count);
  report.count =
      EvaluateCount(CountGate(fit.weight, fit.bias), heldout, Predictions(heads, heldout));
  if (options.output_folder.empty()) return absl::OkStatus();
  Writer writer(options, table, report);
  const int64_t counts = static_cast<int64_t>(fit.counts());
  return writer.Write(
      "count.safetensors",
      {{"count_weight", {counts, static_cast<int64_t>(table.dimension)}, fit.weight},
       {"count_bias", {counts}, fit.bias}},
      {{"kind", "count_gate"}, {"factor", absl::StrCat(options.count->factor)}});
}

}  // namespace

absl::StatusOr<TrainReport> Train(const TrainOptions& options) {
  PENSTOCK_RETURN_IF_ERROR(Check(options));
  PENSTOCK_ASSIGN_OR_RETURN(
      const OutcomeTable table,
      ReadOutcomeTable({options.outcomes_file, options.inputs_file, options.input_dimension,
                        options.features, options.experts}));
  return TrainOn(options, table);
}

absl::StatusOr<TrainReport> TrainOn(const TrainOptions& options, const OutcomeTable& table) {
  PENSTOCK_RETURN_IF_ERROR(Check(options));
  if (options.price > 0 && table.cost_unit.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("price is ", options.price, ", but ", options.outcomes_file,
                     " does not tell joules, flops or seconds throughout"));
  }
  const TableSplit split = SplitTable(table, options.heldout_share, kFolds, options.seed);
  if (split.train.size() < kLeastRows || split.heldout.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        options.outcomes_file, " has ", table.rows(), " outcomes, of which ", split.train.size(),
        " are left to train on: wanted at least ", kLeastRows, " and one held out"));
  }
  const OutcomeTable train = table.Subset(split.train), heldout = table.Subset(split.heldout);
  TrainReport report;
  report.rows = table.rows();
  report.train_rows = train.rows();
  report.heldout_rows = heldout.rows();
  report.dimension = table.dimension;
  report.seed = options.seed;
  report.cost_unit = table.cost_unit;
  report.partial = table.partial();

  const size_t experts = table.experts.size();
  const LogisticHeads heads = FitCalibratedHeads(train.features, table.dimension, train.quality,
                                                 experts, split.fold, {LogisticPenalties(), kFolds});
  const OutcomeTable taught = table.partial() ? WithBlanksPredicted(train, heads) : train;
  const SoftmaxFit gate =
      FitSoftmaxByFolds(train.features, table.dimension,
                        GateTargets(taught, options.labels, options.price), experts, split.fold,
                        kFolds, LogisticPenalties());
  report.gate_l2 = gate.l2;
  const std::vector<float> predictions = Predictions(heads, heldout);
  DescribeExperts(train, heldout, heads, predictions, report);
  if (table.partial()) {
    PENSTOCK_RETURN_IF_ERROR(
        CompareLoggedPolicies(train, heldout, Logits(gate, heldout), predictions, report));
  } else {
    ComparePolicies(train, heldout, Logits(gate, heldout), predictions, report);
    report.budgets = EvaluateBudgets(train, Predictions(heads, train), heldout, predictions);
  }
  DescribeCells(train, report);
  PENSTOCK_ASSIGN_OR_RETURN(
      const CascadeParts cascade,
      TrainCascades(options, train, heldout, split.fold, kFolds, report));
  if (!options.output_folder.empty()) {
    PENSTOCK_RETURN_IF_ERROR(WriteFiles(options, table, gate, heads, cascade, report));
  }
  if (cascade.policy) {
    PENSTOCK_RETURN_IF_ERROR(MeasurePolicy(options, report.files.back(), heldout, report));
  }
  if (options.count) {
    PENSTOCK_RETURN_IF_ERROR(
        AddCount(options, table, train, heldout, split.fold, heads, report));
  }
  if (options.gate != "topk_softmax") {
    if (table.partial()) {
      report.warnings.push_back(absl::StrCat("the figures of gate ", options.gate,
                                             " take what was not asked as predicted"));
    }
    PENSTOCK_RETURN_IF_ERROR(AddGate(
        options, table, taught, table.partial() ? WithBlanksPredicted(heldout, heads) : heldout,
        split.fold,
        LargestScore(Logits(gate, heldout), experts, heldout.rows()), report));
  }
  return report;
}

}  // namespace penstock::router
