#include "router_service/learning/gate_targets.h"

#include <algorithm>
#include <cmath>

#include "router_service/learning/policies/policy_evaluation.h"

namespace penstock::router {

std::vector<float> SharedTargets(const OutcomeTable& table, double price) {
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

std::vector<size_t> UtilityLabels(const OutcomeTable& table, double price) {
  const std::vector<double> mean = MeanCosts(table);
  std::vector<size_t> labels(table.rows(), kNobody);
  for (size_t row = 0; row < table.rows(); ++row) {
    double most = 0, least_cost = 0;
    for (size_t e = 0; e < table.experts.size(); ++e) {
      const float quality = table.quality[table.At(e, row)];
      if (std::isnan(quality)) continue;
      const float own = table.cost[table.At(e, row)];
      double cost = std::isnan(own) ? mean[e] : own;
      if (std::isnan(cost)) cost = 0;  // the table tells no costs
      const double utility = quality - price * cost;
      const bool better =
          labels[row] == kNobody || utility > most || (utility == most && cost < least_cost);
      if (!better) continue;
      labels[row] = e;
      most = utility;
      least_cost = cost;
    }
  }
  return labels;
}

std::vector<float> GateTargets(const OutcomeTable& table, GateLabels labels, double price) {
  switch (labels) {
    case GateLabels::kShared:
      return SharedTargets(table, price);
    case GateLabels::kUtility:
      break;
  }
  std::vector<float> targets(table.experts.size() * table.rows(), 0.0f);
  const std::vector<size_t> of_row = UtilityLabels(table, price);
  for (size_t row = 0; row < table.rows(); ++row) {
    if (of_row[row] != kNobody) targets[table.At(of_row[row], row)] = 1;
  }
  return targets;
}

}  // namespace penstock::router
