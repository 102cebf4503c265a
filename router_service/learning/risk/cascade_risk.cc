#include "router_service/learning/risk/cascade_risk.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "router_service/learning/risk/conformal_threshold.h"

namespace penstock::router {
namespace {

// One row's answer of a stage before the last.
struct StageAnswer {
  double lead = 0;
  double shortfall = 0;  // quality that the last stage would have added
};
using RowAnswers = std::vector<StageAnswer>;  // in the order of the stages

// Nothing where something of the row is unknown.
std::optional<RowAnswers> AnswersOf(const CascadeFit& fit, const OutcomeTable& table,
                                    const std::vector<size_t>& stages, size_t row) {
  const size_t last = stages.back();
  const float best = table.quality[table.At(last, row)];
  if (std::isnan(best)) return std::nullopt;
  RowAnswers answers;
  for (size_t i = 0; i + 1 < stages.size(); ++i) {
    const size_t at = table.At(stages[i], row);
    const AnswerConfidence& confidence = table.confidence[at];
    if (confidence.first < 0 || std::isnan(table.quality[at])) return std::nullopt;
    const double stay = fit.Predict(table.experts.size(), stages[i], stages[i], confidence);
    const double big = fit.Predict(table.experts.size(), stages[i], last, confidence);
    answers.push_back({stay - big, std::max(0.0, static_cast<double>(best) - table.quality[at])});
  }
  return answers;
}

// As the threshold comes down, the stage that answers moves forward: each that leads by more than
// all before it answers below its own lead.
LossCurve CurveOf(const RowAnswers& answers) {
  LossCurve curve;
  for (const StageAnswer& answer : answers) {
    if (curve.empty() || answer.lead > curve.back().threshold) {
      curve.push_back({answer.lead, answer.shortfall});
    }
  }
  std::reverse(curve.begin(), curve.end());
  return curve;
}

CascadeRiskPoint PointAt(double lead, const std::vector<RowAnswers>& rows) {
  CascadeRiskPoint point;
  point.lead = lead;
  if (rows.empty()) return point;
  for (const RowAnswers& answers : rows) {
    const auto stands = std::find_if(answers.begin(), answers.end(),
                                     [&](const StageAnswer& a) { return a.lead > lead; });
    if (stands == answers.end()) continue;
    point.accepted += 1;
    point.risk += stands->shortfall;
  }
  point.accepted /= static_cast<double>(rows.size());
  point.risk /= static_cast<double>(rows.size());
  return point;
}

// The router compares with a float: the next one up, if there is none there.
double FloatFrom(double value) {
  const float near = static_cast<float>(value);
  return near >= value ? near : std::nextafter(near, std::numeric_limits<float>::infinity());
}

}  // namespace

absl::StatusOr<std::vector<size_t>> StageIndices(const CascadeFit& fit, const OutcomeTable& table,
                                                 const std::vector<std::string>& stages,
                                                 bool must_stand) {
  if (stages.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("cascade has ", stages.size(), " stages, wanted at least 2"));
  }
  std::vector<size_t> indices;
  for (const std::string& name : stages) {
    const auto at = std::find(table.experts.begin(), table.experts.end(), name);
    if (at == table.experts.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("cascade: \"", name, "\" is none of ", absl::StrJoin(table.experts, ", ")));
    }
    const size_t index = static_cast<size_t>(at - table.experts.begin());
    if (std::find(indices.begin(), indices.end(), index) != indices.end()) {
      return absl::InvalidArgumentError(absl::StrCat("cascade: \"", name, "\" stands twice"));
    }
    if (must_stand && indices.size() + 1 < stages.size() && !fit.can_stand[index]) {
      return absl::InvalidArgumentError(absl::StrCat(
          "cascade: the table tells too few confidences of \"", name, "\" to let it answer"));
    }
    indices.push_back(index);
  }
  return indices;
}

absl::StatusOr<CascadeRiskReport> CalibrateCascade(const CascadeFit& fit,
                                                   const OutcomeTable& heldout,
                                                   const std::vector<std::string>& stages,
                                                   double risk) {
  if (!(risk > 0 && risk < 1)) {
    return absl::InvalidArgumentError(absl::StrCat("risk is ", risk, ", wanted between 0 and 1"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<size_t> indices, StageIndices(fit, heldout, stages));
  std::vector<RowAnswers> rows;
  std::vector<LossCurve> curves;
  for (size_t row = 0; row < heldout.rows(); ++row) {
    std::optional<RowAnswers> answers = AnswersOf(fit, heldout, indices, row);
    if (!answers) continue;
    curves.push_back(CurveOf(*answers));
    rows.push_back(*std::move(answers));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const ConformalThreshold found, CalibrateThreshold(curves, {risk, 1}));
  CascadeRiskReport report;
  report.stages = stages;
  report.rows = rows.size();
  report.alpha = risk;
  report.always_escalates = found.always_escalates();
  // Without a stated risk and at no price, an answer stands unless another is likelier right.
  report.before = PointAt(-std::numeric_limits<double>::denorm_min(), rows);
  report.before.lead = 0;
  report.after = PointAt(FloatFrom(found.threshold), rows);
  return report;
}

}  // namespace penstock::router
