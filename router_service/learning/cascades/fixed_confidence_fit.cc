#include "router_service/learning/cascades/fixed_confidence_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "router_service/learning/policies/policy_evaluation.h"
#include "router_service/learning/prediction_metrics.h"

namespace penstock::router {
namespace {

struct Row {
  float confidence = 0;
  double gain = 0;  // of asking the other one too
};

std::vector<Row> RowsOf(const OutcomeTable& table, size_t standing, size_t other, double priced) {
  std::vector<Row> rows;
  for (size_t row = 0; row < table.rows(); ++row) {
    const size_t a = table.At(standing, row), b = table.At(other, row);
    if (table.confidence[a].first < 0 || std::isnan(table.quality[a]) ||
        std::isnan(table.quality[b])) {
      continue;
    }
    rows.push_back({table.confidence[a].first,
                    static_cast<double>(table.quality[b]) - table.quality[a] - priced});
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& x, const Row& y) { return x.confidence < y.confidence; });
  return rows;
}

}  // namespace

FixedConfidenceFit FitFixedConfidence(const OutcomeTable& train, double price) {
  const size_t experts = train.experts.size();
  const std::vector<double> cost = MeanCosts(train);
  FixedConfidenceFit fit;
  for (size_t standing = 0; standing < experts; ++standing) {
    fit.from.push_back(0);
    fit.next.push_back(standing);
    double best = 0;
    for (size_t other = 0; other < experts; ++other) {
      if (other == standing) continue;
      const std::vector<Row> rows =
          RowsOf(train, standing, other, price > 0 ? price * cost[other] : 0);
      double sum = 0;
      for (size_t i = 0; i < rows.size(); ++i) {
        sum += rows[i].gain;
        const bool last = i + 1 == rows.size();
        if (!last && rows[i + 1].confidence == rows[i].confidence) continue;
        const double mean = sum / static_cast<double>(rows.size());
        if (!(mean > best)) continue;
        best = mean;
        fit.next[standing] = other;
        // Above every confidence seen: nothing stands.
        fit.from[standing] =
            last ? std::nextafter(rows[i].confidence, std::numeric_limits<float>::infinity())
                 : rows[i + 1].confidence;
      }
    }
  }
  return fit;
}

std::vector<float> CalibrationErrors(const CascadeFit& fit, const OutcomeTable& heldout) {
  const size_t experts = heldout.experts.size();
  std::vector<float> errors;
  for (size_t standing = 0; standing < experts; ++standing) {
    for (size_t asked = 0; asked < experts; ++asked) {
      std::vector<float> p, labels;
      for (size_t row = 0; fit.can_stand[standing] && row < heldout.rows(); ++row) {
        const AnswerConfidence& confidence = heldout.confidence[heldout.At(standing, row)];
        const float label = heldout.quality[heldout.At(asked, row)];
        if (confidence.first < 0 || std::isnan(label)) continue;
        p.push_back(fit.Predict(experts, standing, asked, confidence));
        labels.push_back(label);
      }
      errors.push_back(p.empty() ? std::nanf("") : static_cast<float>(CalibrationError(p, labels)));
    }
  }
  return errors;
}

}  // namespace penstock::router
