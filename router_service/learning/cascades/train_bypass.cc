#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/learning/cascades/bypass_label.h"
#include "router_service/learning/cascades/cascade_trainer.h"
#include "router_service/learning/linear/logistic_heads.h"
#include "router_service/learning/risk/conformal_threshold.h"
#include "router_service/quality/cascade/bypass_gate.h"

namespace penstock::router {
namespace {

constexpr size_t kLeastRows = 50;
const std::vector<double> kL2Grid = {3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001};

absl::Span<const float> Row(const OutcomeTable& table, size_t row) {
  return absl::MakeConstSpan(table.features).subspan(row * table.dimension, table.dimension);
}

// The router compares with a float: the next one up, if there is none there.
float FloatFrom(double value) {
  const float near = static_cast<float>(value);
  return near >= value ? near : std::nextafter(near, std::numeric_limits<float>::infinity());
}

}  // namespace

std::optional<bool> NeedsSecond(float first_quality, float second_quality) {
  if (first_quality >= 0.5f) return false;
  if (second_quality >= 0.5f) return true;
  return std::nullopt;
}

absl::StatusOr<TrainedCascade> TrainBypass(const CascadeTrainingSet& set) {
  const OutcomeTable& table = set.train;
  if (set.stages.size() != 2 || table.dimension == 0) {
    return absl::InvalidArgumentError(absl::StrCat("policy bypass: cascade has ", set.stages.size(),
                                                   " stages and the table ", table.dimension,
                                                   " features, wanted 2 stages and a feature"));
  }
  std::vector<float> x, suffices;
  std::vector<int> fold;
  std::vector<size_t> calibrates;
  for (const size_t row : RowsWithStages(table, set.stages, false)) {
    if (set.fold[row] == 0) {
      calibrates.push_back(row);
      continue;
    }
    const std::optional<bool> needs = NeedsSecond(table.quality[table.At(set.stages[0], row)],
                                                  table.quality[table.At(set.stages[1], row)]);
    if (!needs) continue;
    const absl::Span<const float> z = Row(table, row);
    x.insert(x.end(), z.begin(), z.end());
    suffices.push_back(*needs ? 0.0f : 1.0f);
    fold.push_back(set.fold[row] - 1);
  }
  if (suffices.size() < kLeastRows || set.folds < 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("policy bypass: ", suffices.size(),
                     " rows say which stage they need, wanted at least ", kLeastRows));
  }
  const LogisticHeads heads =
      FitCalibratedHeads(x, table.dimension, suffices, 1, fold, {kL2Grid, set.folds - 1});
  const BypassGate gate(StageList{{0, 1}}, heads.weight, heads.bias[0], 0);
  std::vector<LossCurve> curves;
  for (const size_t row : calibrates) {
    const double shortfall =
        std::max(0.0, static_cast<double>(table.quality[table.At(set.stages[1], row)]) -
                          table.quality[table.At(set.stages[0], row)]);
    curves.push_back({{gate.PSuffices(Row(table, row)), shortfall}});
  }
  PENSTOCK_ASSIGN_OR_RETURN(const ConformalThreshold found,
                            CalibrateThreshold(curves, {set.risk, 1}));
  TrainedCascade trained;
  trained.tensors = {{"bypass_weight", {static_cast<int64_t>(table.dimension)}, heads.weight},
                     {"bypass_bias", {1}, {heads.bias[0]}},
                     {"bypass_least", {1}, {FloatFrom(found.threshold)}}};
  trained.metadata["risk"] = absl::StrCat(set.risk);
  trained.metadata["risk_rows"] = absl::StrCat(calibrates.size());
  if (found.always_escalates()) {
    trained.warnings.push_back(
        absl::StrCat("policy bypass: a risk of ", set.risk, " wants more than the ",
                     calibrates.size(), " rows there are to calibrate on: every request goes to \"",
                     table.experts[set.stages[1]], "\""));
  }
  return trained;
}

}  // namespace penstock::router
