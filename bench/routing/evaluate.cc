#include "evaluate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/random.h"
#include "router_service/evaluation/frontier.h"
#include "router_service/evaluation/strong_share.h"

namespace penstock::router {
namespace {

constexpr int kBudgetLevels = 8;

// The single models under one weighting of the requests.
struct Yardstick {
  std::vector<OperatingPoint> singles;
  std::vector<OperatingPoint> frontier;
  OperatingPoint cheapest, best;
  double dearest = 0;

  explicit Yardstick(std::vector<OperatingPoint> means)
      : singles(std::move(means)), frontier(Frontier(singles)) {
    cheapest = frontier.front();
    best = frontier.back();
    for (const OperatingPoint& single : singles) dearest = std::max(dearest, single.cost);
  }
  std::vector<OperatingPoint> WithCheapest(std::vector<OperatingPoint> points) const {
    points.push_back(cheapest);
    return Frontier(points);
  }
};

struct Figures {
  double aiq = 0, gain = 0, cost_at_90 = 0, cost_at_95 = 0, cost_at_100 = 0, quality = 0;
  double joules_at_95 = 0, worst = 0, aiq_fixed = 0, gain_fixed = 0, worst_fixed = 0;
};

// Largest shortfall of a curve against the single models, at any mean cost they reach.
template <typename QualityAt>
double WorstAgainstSingles(const Yardstick& yard, const QualityAt& quality_at) {
  double worst = 1;
  for (int i = 0; i <= 200; ++i) {
    const double cost = yard.cheapest.cost + i / 200.0 * (yard.dearest - yard.cheapest.cost);
    worst = std::min(worst, quality_at(cost) - QualityAtCost(yard.frontier, cost));
  }
  return worst;
}

// Of points in turn, linear between them, flat outside.
double QualityOnCurve(const std::vector<OperatingPoint>& curve, double cost) {
  double quality = curve.front().quality;
  for (size_t i = 0; i < curve.size(); ++i) {
    if (curve[i].cost > cost) {
      if (i == 0) return curve[0].quality;
      const OperatingPoint& left = curve[i - 1];
      if (left.cost > cost) continue;
      const double share = (cost - left.cost) / (curve[i].cost - left.cost);
      return left.quality + share * (curve[i].quality - left.quality);
    }
    quality = curve[i].quality;
  }
  return quality;
}

Figures Measure(const Yardstick& yard, const std::vector<OperatingPoint>& means,
                const std::vector<OperatingPoint>& planned) {
  const std::vector<OperatingPoint> frontier = yard.WithCheapest(means);
  const double cheapest = yard.cheapest.cost, dearest = yard.dearest;
  const double singles = Aiq(yard.frontier, cheapest, dearest);
  Figures f;
  f.aiq = 100 * Aiq(frontier, cheapest, dearest);
  f.gain = f.aiq - 100 * singles;
  f.quality = 100 * frontier.back().quality;
  const auto cost_at = [&](double share) {
    return 100 * CostAtQuality(frontier, share * yard.best.quality) / yard.best.cost;
  };
  f.cost_at_90 = cost_at(0.90);
  f.cost_at_95 = cost_at(0.95);
  f.cost_at_100 = cost_at(1.00);
  f.joules_at_95 =
      CostAtQuality(frontier, 0.95 * yard.best.quality) / (0.95 * yard.best.quality);
  f.worst = 100 * WorstAgainstSingles(yard, [&](double cost) {
              return QualityAtCost(frontier, cost);
            });
  if (!planned.empty()) {
    const std::vector<OperatingPoint> curve = RealisedCurve(planned, means);
    f.aiq_fixed = 100 * MeanHeight(curve, cheapest, dearest);
    f.gain_fixed = f.aiq_fixed - 100 * singles;
    f.worst_fixed =
        100 * WorstAgainstSingles(yard, [&](double cost) { return QualityOnCurve(curve, cost); });
  }
  return f;
}

// A JSON number, or null for none.
nlohmann::json Number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return std::round(value * 1e4) / 1e4;
}

void PutInterval(nlohmann::json& row, const std::string& name, std::vector<double> replicates) {
  const Interval interval = PercentileInterval(std::move(replicates));
  row[name + "_low"] = Number(interval.low);
  row[name + "_high"] = Number(interval.high);
}

// Rows by falling gain; ties in an order that chance has set.
std::vector<size_t> OrderByGain(const std::vector<float>& gain, uint64_t seed) {
  std::vector<size_t> order(gain.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<uint64_t> lot(gain.size());
  for (size_t row = 0; row < gain.size(); ++row) lot[row] = CounterRandom(seed, row).Bits();
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return gain[a] != gain[b] ? gain[a] > gain[b] : lot[a] < lot[b];
  });
  return order;
}

// APGR and CPT of a pair. Single calls only: the share of calls to the strong model is the cost.
void PutPairFigures(nlohmann::json& row, const RoutingSet& set, const std::vector<float>& gain,
                    const GroupBootstrap& bootstrap, const EvaluationOptions& options) {
  const std::vector<size_t> order = OrderByGain(gain, options.seed);
  const absl::Span<const float> quality(set.quality);
  const auto weak = quality.subspan(0, set.rows), strong = quality.subspan(set.rows);
  const StrongShareCurve curve = CurveOverStrongShare(order, weak, strong, {});
  std::vector<double> apgr, cpt50, cpt80;
  for (int i = 0; i < options.replicates; ++i) {
    const StrongShareCurve again = CurveOverStrongShare(
        order, weak, strong, bootstrap.Weights(static_cast<uint64_t>(i)));
    apgr.push_back(again.Apgr());
    cpt50.push_back(100 * again.Cpt(0.5));
    cpt80.push_back(100 * again.Cpt(0.8));
  }
  double mean = 0, square = 0;
  for (const double a : apgr) mean += a / options.replicates;
  for (const double a : apgr) square += (a - mean) * (a - mean) / (options.replicates - 1);
  row["apgr"] = Number(curve.Apgr());
  row["apgr_standard_error"] = Number(std::sqrt(square));
  PutInterval(row, "apgr", apgr);
  row["cpt50"] = Number(100 * curve.Cpt(0.5));
  row["cpt80"] = Number(100 * curve.Cpt(0.8));
  PutInterval(row, "cpt50", cpt50);
  PutInterval(row, "cpt80", cpt80);
}

nlohmann::json CurveOf(const std::string& contender, const std::vector<OperatingPoint>& frontier,
                       const Yardstick& yard) {
  nlohmann::json points = nlohmann::json::array(), levels = nlohmann::json::array();
  for (const OperatingPoint& point : frontier) {
    points.push_back({point.cost, Number(100 * point.quality)});
  }
  for (int i = 1; i <= kBudgetLevels; ++i) {
    const double cost =
        yard.cheapest.cost + (yard.dearest - yard.cheapest.cost) * i / kBudgetLevels;
    levels.push_back({cost, Number(100 * QualityAtCost(frontier, cost)),
                      Number(100 * QualityAtCost(yard.frontier, cost))});
  }
  return {{"contender", contender}, {"points", points}, {"budget_quality_singles", levels}};
}

}  // namespace

Evaluation Evaluate(const RoutingSet& set, const std::vector<Measured>& measured,
                    const EvaluationOptions& options) {
  SettingOutcomes singles;
  singles.settings = set.models.size();
  singles.rows = set.rows;
  singles.quality = set.quality;
  singles.cost = set.cost;
  const GroupBootstrap bootstrap(set.group, options.seed);
  std::vector<std::vector<float>> weights;
  std::vector<Yardstick> yards;
  for (int i = 0; i < options.replicates; ++i) {
    weights.push_back(bootstrap.Weights(static_cast<uint64_t>(i)));
    yards.emplace_back(singles.Means(weights.back()));
  }
  const Yardstick yard(singles.Means({}));
  Evaluation evaluation;
  for (const Measured& m : measured) {
    const std::vector<OperatingPoint> means = m.routed.outcomes.Means({});
    const Figures figures = Measure(yard, means, m.planned);
    std::vector<double> aiq, gain, at_95, at_100, aiq_fixed, gain_fixed, joules;
    for (size_t i = 0; i < weights.size(); ++i) {
      const Figures again = Measure(yards[i], m.routed.outcomes.Means(weights[i]), m.planned);
      aiq.push_back(again.aiq);
      gain.push_back(again.gain);
      at_95.push_back(again.cost_at_95);
      at_100.push_back(again.cost_at_100);
      joules.push_back(again.joules_at_95);
      aiq_fixed.push_back(again.aiq_fixed);
      gain_fixed.push_back(again.gain_fixed);
    }
    nlohmann::json row = {{"set", set.name},
                          {"contender", m.contender},
                          {"requests", set.rows},
                          {"aiq", Number(figures.aiq)},
                          {"gain_over_singles", Number(figures.gain)},
                          {"worst_against_singles", Number(figures.worst)},
                          {"best_quality", Number(figures.quality)},
                          {"cost_at_90", Number(figures.cost_at_90)},
                          {"cost_at_95", Number(figures.cost_at_95)},
                          {"cost_at_100", Number(figures.cost_at_100)}};
    PutInterval(row, "aiq", aiq);
    PutInterval(row, "gain_over_singles", gain);
    PutInterval(row, "cost_at_95", at_95);
    PutInterval(row, "cost_at_100", at_100);
    row["cost_unit"] = set.unit;
    const std::string per_correct = set.unit + "_per_correct_at_95";
    row[per_correct] = Number(figures.joules_at_95);
    PutInterval(row, per_correct, joules);
    if (m.routed.outcomes.settings == 1) {
      row["mean_cost"] = Number(means[0].cost);
      row["mean_quality"] = Number(100 * means[0].quality);
      row[set.unit + "_per_correct"] = Number(means[0].cost / means[0].quality);
    }
    if (!m.planned.empty()) {
      row["aiq_fixed"] = Number(figures.aiq_fixed);
      PutInterval(row, "aiq_fixed", aiq_fixed);
      row["gain_fixed"] = Number(figures.gain_fixed);
      PutInterval(row, "gain_fixed", gain_fixed);
      row["worst_fixed_against_singles"] = Number(figures.worst_fixed);
    }
    if (!m.routed.gain.empty()) PutPairFigures(row, set, m.routed.gain, bootstrap, options);
    evaluation.rows.push_back(std::move(row));
    evaluation.curves.push_back(CurveOf(m.contender, yard.WithCheapest(means), yard));
  }
  return evaluation;
}

}  // namespace penstock::router
