#include "router_service/learning/gates/gate_comparison.h"

#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "common/random.h"
#include "router_service/evaluation/bootstrap.h"
#include "router_service/gating/top_k.h"
#include "router_service/learning/policies/policy_evaluation.h"

namespace penstock::router {
namespace {

constexpr uint64_t kReplicates = 1000;

// Rows of one id stay together.
std::vector<uint32_t> Groups(const OutcomeTable& table) {
  std::map<std::string, uint32_t> number;
  std::vector<uint32_t> groups;
  for (const std::string& id : table.ids) {
    groups.push_back(number.insert({id, static_cast<uint32_t>(number.size())}).first->second);
  }
  return groups;
}

// Weighted mean of the rows that are known; NaN where none is.
double Mean(absl::Span<const double> values, absl::Span<const float> weights) {
  double sum = 0, count = 0;
  for (size_t row = 0; row < values.size(); ++row) {
    if (std::isnan(values[row])) continue;
    const double weight = weights.empty() ? 1 : weights[row];
    sum += weight * values[row];
    count += weight;
  }
  return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

GateDifference Interval95(absl::Span<const double> differences, const GroupBootstrap& bootstrap) {
  std::vector<double> replicates;
  for (uint64_t replicate = 0; replicate < kReplicates; ++replicate) {
    replicates.push_back(Mean(differences, bootstrap.Weights(replicate)));
  }
  const Interval interval = PercentileInterval(std::move(replicates));
  return {Mean(differences, {}), interval.low, interval.high};
}

}  // namespace

GateReport CompareGate(const std::string& name, const Gate& gate, const OutcomeTable& heldout,
                       absl::Span<const size_t> other, uint64_t seed) {
  const size_t experts = heldout.experts.size(), rows = heldout.rows();
  GateReport report;
  report.name = name;
  std::vector<size_t> choice(rows);
  std::vector<double> to_other(rows), to_random(rows);
  std::vector<float> logits(experts);
  CounterRandom random(seed, 0);
  double active = 0;
  for (size_t row = 0; row < rows; ++row) {
    gate.Score(
        absl::MakeConstSpan(heldout.features).subspan(row * heldout.dimension, heldout.dimension),
        {}, random, absl::MakeSpan(logits));
    const auto chosen = ChooseTopK(logits, {}, gate.k());
    // A gate gives weight to someone whenever someone is admissible.
    choice[row] = chosen.ok() ? chosen->experts.front().expert : 0;
    active += chosen.ok() ? static_cast<double>(chosen->experts.size()) : 0;
    double sum = 0, known = 0;
    for (size_t e = 0; e < experts; ++e) {
      const float quality = heldout.quality[heldout.At(e, row)];
      if (std::isnan(quality)) continue;
      sum += quality;
      known += 1;
    }
    const double quality = heldout.quality[heldout.At(choice[row], row)];
    to_other[row] = quality - heldout.quality[heldout.At(other[row], row)];
    to_random[row] = quality - sum / known;  // NaN where nothing is known
  }
  const PolicyReport policy = EvaluateChoice(name, heldout, choice);
  report.quality = policy.quality;
  report.standard_error = policy.standard_error;
  report.experts_asked = rows > 0 ? active / static_cast<double>(rows) : 0;
  const GroupBootstrap bootstrap(Groups(heldout), seed);
  report.minus_topk_softmax = Interval95(to_other, bootstrap);
  report.minus_random = Interval95(to_random, bootstrap);
  return report;
}

}  // namespace penstock::router
