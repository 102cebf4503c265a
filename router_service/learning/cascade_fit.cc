#include "router_service/learning/cascade_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "router_service/learning/linear/logistic_heads.h"
#include "router_service/learning/policies/policy_evaluation.h"
#include "router_service/learning/prediction_metrics.h"

namespace penstock::router {
namespace {

// Two features and thousands of rows: little to regularise.
const std::vector<double> kL2Grid = {0.1, 0.01, 0.001, 0.0001};

std::vector<size_t> RowsWithConfidence(const OutcomeTable& table, size_t standing) {
  std::vector<size_t> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    const size_t at = table.At(standing, row);
    if (table.confidence[at].first >= 0 && !std::isnan(table.quality[at])) rows.push_back(row);
  }
  return rows;
}

// Both slopes of the standing answer's own head at least 0: first with both features, then with
// one.
LogisticHeads FitMonotone(const std::vector<float>& x, absl::Span<const float> labels,
                          absl::Span<const int> fold, int folds) {
  constexpr std::array<std::array<bool, 2>, 4> kKept = {
      {{true, true}, {true, false}, {false, true}, {false, false}}};
  LogisticHeads heads;
  for (const std::array<bool, 2>& kept : kKept) {
    std::vector<float> masked = x;
    for (size_t at = 0; at < masked.size(); ++at) {
      if (!kept[at % 2]) masked[at] = 0;
    }
    heads = FitCalibratedHeads(masked, 2, labels, 1, fold, {kL2Grid, folds});
    if (heads.weight[0] >= 0 && heads.weight[1] >= 0) break;
  }
  return heads;
}

}  // namespace

float CascadeFit::Predict(size_t experts, size_t standing, size_t asked,
                          const AnswerConfidence& c) const {
  const float* w = weight.data() + (standing * experts + asked) * 3;
  const std::array<double, 2> f = ConfidenceFeatures(c);
  return static_cast<float>(1 / (1 + std::exp(-(w[0] + w[1] * f[0] + w[2] * f[1]))));
}

CascadeFit FitCascade(const OutcomeTable& train, absl::Span<const int> fold, int folds) {
  const size_t experts = train.experts.size();
  CascadeFit fit;
  fit.weight.assign(experts * experts * 3, 0.0f);
  fit.can_stand.assign(experts, 0);
  for (size_t standing = 0; standing < experts; ++standing) {
    const std::vector<size_t> rows = RowsWithConfidence(train, standing);
    if (rows.size() < 20) continue;  // two slopes and an offset for each expert want more
    fit.can_stand[standing] = 1;
    std::vector<float> x, labels;
    std::vector<int> row_fold;
    for (const size_t row : rows) {
      for (const double f : ConfidenceFeatures(train.confidence[train.At(standing, row)])) {
        x.push_back(static_cast<float>(f));
      }
      row_fold.push_back(fold[row]);
    }
    for (size_t asked = 0; asked < experts; ++asked) {
      for (const size_t row : rows) labels.push_back(train.quality[train.At(asked, row)]);
    }
    const LogisticHeads all = FitCalibratedHeads(x, 2, labels, experts, row_fold, {kL2Grid, folds});
    const LogisticHeads own =
        FitMonotone(x, absl::MakeConstSpan(labels).subspan(standing * rows.size(), rows.size()),
                    row_fold, folds);
    for (size_t asked = 0; asked < experts; ++asked) {
      const LogisticHeads& heads = asked == standing ? own : all;
      const size_t head = asked == standing ? 0 : asked;
      float* w = fit.weight.data() + (standing * experts + asked) * 3;
      w[0] = heads.bias[head];
      w[1] = heads.weight[head * 2];
      w[2] = heads.weight[head * 2 + 1];
    }
  }
  return fit;
}

std::vector<CascadePairReport> EvaluateCascade(const CascadeFit& fit, const OutcomeTable& heldout) {
  constexpr std::array<double, 9> kShares = {0, 0.05, 0.1, 0.12, 0.2, 0.3, 0.5, 0.75, 1};
  const size_t experts = heldout.experts.size();
  const std::vector<double> cost = MeanCosts(heldout);
  std::vector<CascadePairReport> reports;
  for (size_t first = 0; first < experts; ++first) {
    if (!fit.can_stand[first]) continue;
    for (size_t other = 0; other < experts; ++other) {
      const bool dearer = heldout.cost_unit.empty()
                              ? MeanQuality(heldout, other) > MeanQuality(heldout, first)
                              : cost[other] > cost[first];
      if (other == first || !dearer) continue;
      std::vector<float> stay, big, stay_label, big_label;
      for (const size_t row : RowsWithConfidence(heldout, first)) {
        if (std::isnan(heldout.quality[heldout.At(other, row)])) continue;
        const AnswerConfidence& c = heldout.confidence[heldout.At(first, row)];
        stay.push_back(fit.Predict(experts, first, first, c));
        big.push_back(fit.Predict(experts, first, other, c));
        stay_label.push_back(heldout.quality[heldout.At(first, row)]);
        big_label.push_back(heldout.quality[heldout.At(other, row)]);
      }
      if (stay.empty()) continue;
      const double count = static_cast<double>(stay.size());
      CascadePairReport report{heldout.experts[first], heldout.experts[other]};
      report.first_quality = std::accumulate(stay_label.begin(), stay_label.end(), 0.0) / count;
      report.other_quality = std::accumulate(big_label.begin(), big_label.end(), 0.0) / count;
      report.stay = FitOf(stay, stay_label);
      report.big = FitOf(big, big_label);
      std::vector<size_t> order(stay.size());
      std::iota(order.begin(), order.end(), size_t{0});
      std::stable_sort(order.begin(), order.end(),
                       [&](size_t a, size_t b) { return big[a] - stay[a] > big[b] - stay[b]; });
      for (const double share : kShares) {
        const size_t escalated = static_cast<size_t>(std::llround(share * count));
        double sum = 0;
        for (size_t i = 0; i < order.size(); ++i) {
          sum += i < escalated ? big_label[order[i]] : stay_label[order[i]];
        }
        EscalationPoint point;
        point.share = share;
        point.quality = sum / count;
        point.random_quality =
            report.first_quality + share * (report.other_quality - report.first_quality);
        if (!heldout.cost_unit.empty()) point.mean_cost = cost[first] + share * cost[other];
        report.points.push_back(point);
      }
      reports.push_back(std::move(report));
    }
  }
  return reports;
}

}  // namespace penstock::router
