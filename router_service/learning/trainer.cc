#include "router_service/learning/trainer.h"

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
#include "router_service/gating/expert_columns.h"
#include "router_service/gating/gate.h"
#include "router_service/gating/minimum_k.h"
#include "router_service/learning/cascade_fit.h"
#include "router_service/learning/gates/gate_comparison.h"
#include "router_service/learning/logistic_heads.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/policy_evaluation.h"
#include "router_service/learning/prediction_metrics.h"
#include "router_service/learning/risk/cascade_risk.h"
#include "router_service/learning/softmax_regression.h"
#include "router_service/learning/table_split.h"

namespace penstock::router {
namespace {

constexpr int kFolds = 5;
constexpr size_t kLeastRows = 20;
// Of the mean loss; a factor of about 3 from heavy to hardly any.
const std::vector<double> kL2Grid = {3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001};

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
  if (options.risk.has_value() == options.cascade.empty()) {
    return absl::InvalidArgumentError(
        options.risk ? "risk is set, but cascade is not: wanted its stages in the order asked"
                     : "cascade is set, but risk is not: wanted the quality that it may lose");
  }
  PENSTOCK_RETURN_IF_ERROR(CheckGate(options));
  std::vector<std::string> names = options.experts;
  std::sort(names.begin(), names.end());
  if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
    return absl::InvalidArgumentError("experts: a name stands twice");
  }
  return absl::OkStatus();
}

// Soft targets [experts, rows] for the gate. Without a price: quality over the sum of qualities, so
// that the right experts of a request share it; with one: the experts that attain the largest
// quality minus priced cost share it. A request that nobody gets right (without price) teaches
// nothing and has no target.
std::vector<float> GateTargets(const OutcomeTable& table, double price) {
  const size_t experts = table.experts.size();
  const std::vector<double> cost = MeanCosts(table);
  std::vector<float> targets(experts * table.rows(), 0.0f);
  for (size_t row = 0; row < table.rows(); ++row) {
    double sum = 0, most = -std::numeric_limits<double>::infinity();
    const auto net = [&](size_t e) { return table.quality[table.At(e, row)] - price * cost[e]; };
    for (size_t e = 0; e < experts; ++e) {
      if (!std::isnan(net(e))) most = std::max(most, net(e));
    }
    for (size_t e = 0; e < experts; ++e) {
      const float q = table.quality[table.At(e, row)];
      if (std::isnan(q)) continue;
      float& target = targets[table.At(e, row)];
      target = price > 0 ? (net(e) == most ? 1.0f : 0.0f) : q;
      sum += target;
    }
    if (sum <= 0) continue;
    for (size_t e = 0; e < experts; ++e) {
      float& target = targets[table.At(e, row)];
      target = static_cast<float>(target / sum);
    }
  }
  return targets;
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
    metadata_["features"] = table.dimension == 0 ? "none" : "tensor_pooling";
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

absl::Status WriteFiles(const TrainOptions& options, const OutcomeTable& table,
                        const SoftmaxFit& gate, const LogisticHeads& heads,
                        const CascadeFit& cascade, TrainReport& report) {
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
                    {"heldout_regret", absl::StrCat(report.regret)}}));
  PENSTOCK_RETURN_IF_ERROR(writer.Write("quality.safetensors",
                                        {{"weight", {e, d}, heads.weight},
                                         {"bias", {e}, heads.bias},
                                         {"mean", {e}, Floats(heads.mean)},
                                         {"tau", {e}, Floats(heads.tau)}},
                                        {{"kind", "logistic_quality"},
                                         {"heldout_quality", quality},
                                         {"heldout_brier", brier},
                                         {"heldout_ece", ece}}));
  const std::vector<float> can_stand(cascade.can_stand.begin(), cascade.can_stand.end());
  if (std::none_of(can_stand.begin(), can_stand.end(), [](float v) { return v != 0; })) {
    return absl::OkStatus();
  }
  std::vector<SafetensorsTensor> tensors = {{"weight", {e, e, 3}, cascade.weight},
                                            {"can_stand", {e}, can_stand}};
  std::map<std::string, std::string> metadata = {{"kind", "cascade_quality"}};
  if (report.cascade_risk) {
    const CascadeRiskReport& risk = *report.cascade_risk;
    tensors.push_back({"least_lead", {1}, {static_cast<float>(risk.after.lead)}});
    metadata["stages"] = absl::StrJoin(risk.stages, ",");
    metadata["risk"] = absl::StrCat(risk.alpha);
    metadata["risk_rows"] = absl::StrCat(risk.rows);
  }
  return writer.Write("cascade.safetensors", tensors, metadata);
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
  set.targets = GateTargets(train, options.price);
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

}  // namespace

absl::StatusOr<TrainReport> Train(const TrainOptions& options) {
  PENSTOCK_RETURN_IF_ERROR(Check(options));
  PENSTOCK_ASSIGN_OR_RETURN(
      const OutcomeTable table,
      ReadOutcomeTable({options.outcomes_file, options.inputs_file, options.input_dimension,
                        options.features, options.experts}));
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

  const size_t experts = table.experts.size();
  const SoftmaxFit gate =
      FitSoftmaxByFolds(train.features, table.dimension, GateTargets(train, options.price), experts,
                        split.fold, kFolds, kL2Grid);
  const LogisticHeads heads = FitCalibratedHeads(train.features, table.dimension, train.quality,
                                                 experts, split.fold, {kL2Grid, kFolds});
  const CascadeFit cascade = FitCascade(train, split.fold, kFolds);

  report.gate_l2 = gate.l2;
  const std::vector<float> predictions = Predictions(heads, heldout);
  DescribeExperts(train, heldout, heads, predictions, report);
  ComparePolicies(train, heldout, Logits(gate, heldout), predictions, report);
  DescribeCells(train, report);
  report.budgets = EvaluateBudgets(train, Predictions(heads, train), heldout, predictions);
  report.cascades = EvaluateCascade(cascade, heldout);
  if (options.risk) {
    PENSTOCK_ASSIGN_OR_RETURN(
        report.cascade_risk, CalibrateCascade(cascade, heldout, options.cascade, *options.risk));
    if (report.cascade_risk->always_escalates) {
      report.warnings.push_back(absl::StrCat(
          "a risk of ", *options.risk, " wants more than the ", report.cascade_risk->rows,
          " held-out rows there are: the cascade always goes on to \"", options.cascade.back(),
          "\""));
    }
  }
  if (!options.output_folder.empty()) {
    PENSTOCK_RETURN_IF_ERROR(WriteFiles(options, table, gate, heads, cascade, report));
  }
  if (options.gate != "topk_softmax") {
    PENSTOCK_RETURN_IF_ERROR(AddGate(
        options, table, train, heldout, split.fold,
        LargestScore(Logits(gate, heldout), experts, heldout.rows()), report));
  }
  return report;
}

}  // namespace penstock::router
