#include "router_service/learning/domains/domain_smoothing_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "router_service/learning/domains/domain_rows.h"
#include "router_service/learning/linear/linear_design.h"
#include "router_service/learning/linear/logistic_heads.h"

namespace penstock::router {
namespace {

constexpr double kTemperatures[] = {0.1, 0.3, 1, 3};
constexpr int kThresholds = 51;  // from -2.5 in steps of 0.1

absl::Status CheckRow(size_t index, const DomainRow& row, size_t labels) {
  const auto bad = [&](absl::string_view field, absl::string_view detail) {
    return absl::InvalidArgumentError(absl::StrCat("row ", index, ": ", field, ": ", detail));
  };
  if (absl::Status status = CheckDistribution(row.general, labels); !status.ok()) {
    return bad("general", status.message());
  }
  if (absl::Status status = CheckDistribution(row.in_domain, labels); !status.ok()) {
    return bad("in_domain", status.message());
  }
  if (row.label < labels) return absl::OkStatus();
  return bad("label", absl::StrCat(row.label, " of ", labels));
}

// Every other row of each kind is for fitting.
struct Split {
  std::vector<size_t> fitted, heldout;
};
absl::StatusOr<Split> SplitRows(absl::Span<const DomainRow> rows, const LabelGroups& groups) {
  Split split;
  size_t seen[2] = {0, 0};
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool fit = seen[groups.InDomain(rows[i].label) ? 1 : 0]++ % 2 == 0;
    (fit ? split.fitted : split.heldout).push_back(i);
  }
  if (std::min(seen[0], seen[1]) < 2) {
    return absl::InvalidArgumentError(absl::StrCat("wanted at least 2 rows of either kind, got ",
                                                   seen[1], " in domain and ", seen[0],
                                                   " outside"));
  }
  return split;
}

void FitScore(absl::Span<const DomainRow> rows, const LabelGroups& groups,
              const std::vector<size_t>& fitted, DomainGate& gate) {
  std::vector<float> x, in;
  for (const size_t i : fitted) {
    const DomainGate::Features features = groups.Features(rows[i].general, rows[i].in_domain);
    x.insert(x.end(), features.begin(), features.end());
    in.push_back(groups.InDomain(rows[i].label) ? 1.0f : 0.0f);
  }
  std::vector<size_t> all(fitted.size());
  std::iota(all.begin(), all.end(), size_t{0});
  std::vector<double> parameters(DomainGate::kFeatures + 1, 0.0);
  // C = 1 weighs the sum of the losses; this one is of their mean.
  FitLogistic(LinearDesign(x, DomainGate::kFeatures, all), in, 1,
              1 / static_cast<double>(fitted.size()), {}, parameters);
  std::copy_n(parameters.begin(), DomainGate::kFeatures, gate.weight.begin());
  gate.bias = parameters.back();
}

template <typename Answer>
DomainAccuracy Measure(absl::Span<const DomainRow> rows, const LabelGroups& groups,
                       const std::vector<size_t>& heldout, const Answer& answer) {
  double right[2] = {0, 0}, all[2] = {0, 0};
  for (const size_t i : heldout) {
    const size_t kind = groups.InDomain(rows[i].label) ? 1 : 0;
    all[kind] += 1;
    right[kind] += answer(i) == rows[i].label ? 1 : 0;
  }
  return {right[1] / all[1], right[0] / all[0]};
}

// By trapezoids over the points in the order of the in-domain accuracy, from 0 on.
double AreaUnder(std::vector<DomainAccuracy> points) {
  std::sort(points.begin(), points.end(), [](const DomainAccuracy& a, const DomainAccuracy& b) {
    return std::pair(a.in_domain, -a.out_of_domain) < std::pair(b.in_domain, -b.out_of_domain);
  });
  double area = 0;
  DomainAccuracy before = {0, points.front().out_of_domain};
  for (const DomainAccuracy& point : points) {
    area += (point.in_domain - before.in_domain) * (point.out_of_domain + before.out_of_domain) / 2;
    before = point;
  }
  return area;
}

}  // namespace

double DomainAccuracy::HarmonicMean() const {
  const double sum = in_domain + out_of_domain;
  return sum > 0 ? 2 * in_domain * out_of_domain / sum : 0;
}

absl::StatusOr<DomainSmoothingFit> FitDomainSmoothing(absl::Span<const DomainRow> rows,
                                                      const LabelGroups& groups) {
  if (rows.empty()) return absl::InvalidArgumentError("no rows");
  const size_t labels = rows[0].general.size();
  if (absl::Status status = groups.Check(labels); !status.ok()) {
    return absl::InvalidArgumentError(status.message());
  }
  for (size_t i = 0; i < rows.size(); ++i) PENSTOCK_RETURN_IF_ERROR(CheckRow(i, rows[i], labels));
  PENSTOCK_ASSIGN_OR_RETURN(const Split split, SplitRows(rows, groups));
  DomainSmoothingFit fit;
  fit.fitted_rows = split.fitted.size();
  fit.heldout_rows = split.heldout.size();
  FitScore(rows, groups, split.fitted, fit.gate);
  std::vector<double> scores(rows.size());
  for (const size_t i : split.heldout) {
    scores[i] = fit.gate.Score(groups.Features(rows[i].general, rows[i].in_domain));
  }
  std::vector<float> mixed(labels);
  const auto smoothed = [&](const DomainGate& gate) {
    return Measure(rows, groups, split.heldout, [&](size_t i) {
      groups.Smooth(gate.OutOfDomain(scores[i]), rows[i].general, rows[i].in_domain,
                    absl::MakeSpan(mixed));
      return LargestOf(mixed);
    });
  };
  double best = -1;
  for (const double temperature : kTemperatures) {
    std::vector<DomainAccuracy> points;
    for (int step = 0; step < kThresholds; ++step) {
      DomainGate gate = fit.gate;
      gate.temperature = temperature;
      gate.threshold = -2.5 + 0.1 * step;
      points.push_back(smoothed(gate));
      if (points.back().HarmonicMean() <= best) continue;
      best = points.back().HarmonicMean();
      fit.smoothed = points.back();
      fit.gate.temperature = gate.temperature;
      fit.gate.threshold = gate.threshold;
    }
    if (fit.gate.temperature == temperature) fit.area = AreaUnder(std::move(points));
  }
  fit.general_alone =
      Measure(rows, groups, split.heldout, [&](size_t i) { return LargestOf(rows[i].general); });
  fit.in_domain_alone =
      Measure(rows, groups, split.heldout, [&](size_t i) { return LargestOf(rows[i].in_domain); });
  return fit;
}

absl::StatusOr<std::vector<DomainRow>> ReadDomainRows(const std::string& path) {
  std::vector<DomainRow> rows;
  PENSTOCK_RETURN_IF_ERROR(ReadJsonRows(path, [&](const nlohmann::json& json) -> absl::Status {
    DomainRow& row = rows.emplace_back();
    PENSTOCK_ASSIGN_OR_RETURN(row.general, NumbersOf(json, "general"));
    PENSTOCK_ASSIGN_OR_RETURN(row.in_domain, NumbersOf(json, "in_domain"));
    PENSTOCK_ASSIGN_OR_RETURN(row.label, IndexOf(json, "label"));
    return absl::OkStatus();
  }));
  return rows;
}

std::string FormatDomainSmoothingFit(const DomainSmoothingFit& fit) {
  std::string text = absl::StrFormat(
      "score fitted on %d rows; temperature %g and threshold %.1f chosen on %d others:\n"
      "%-28s %10s %10s %10s\n",
      fit.fitted_rows, fit.gate.temperature, fit.gate.threshold, fit.heldout_rows, "", "in domain",
      "outside", "harmonic");
  const auto row = [&](const char* name, const DomainAccuracy& accuracy) {
    absl::StrAppendFormat(&text, "%-28s %10.4f %10.4f %10.4f\n", name, accuracy.in_domain,
                          accuracy.out_of_domain, accuracy.HarmonicMean());
  };
  row("smoothed", fit.smoothed);
  row("general expert alone", fit.general_alone);
  row("in-domain expert alone", fit.in_domain_alone);
  absl::StrAppendFormat(&text, "area under both accuracies as the threshold moves: %.4f\n",
                        fit.area);
  return text;
}

}  // namespace penstock::router
