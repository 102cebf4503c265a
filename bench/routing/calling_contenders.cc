#include <algorithm>
#include <map>
#include <numeric>

#include "contender.h"
#include "router_service/baseline_cascades/cascade_search.h"
#include "router_service/baseline_cascades/quality_gap.h"
#include "router_service/baseline_cascades/self_verification.h"
#include "router_service/learning/sparse/hidden_layer_model.h"

namespace penstock::router {
namespace {

ScoredOutcomes Scored(const RoutingSet& set, const std::vector<float>& score) {
  return {set.models.size(), set.rows, set.quality, set.cost, score};
}

// FrugalGPT: for every budget the chain and thresholds that did best on the training requests.
class FrugalContender final : public Contender {
 public:
  FrugalContender() : Contender("frugal") {}

  bool CanRoute(const RoutingSet& set) const override { return set.AnswersAreKnown(); }
  Routed Route(const Part& part, const Levels& levels) const override {
    const std::vector<CascadePlan> plans =
        SearchCascades(Scored(part.train, part.scores.train), levels.budgets, {});
    const ScoredOutcomes tried = Scored(part.test, part.scores.test);
    Routed routed;
    routed.outcomes = SettingOutcomes(plans.size(), part.test.rows);
    for (size_t s = 0; s < plans.size(); ++s) {
      for (size_t row = 0; row < part.test.rows; ++row) {
        const CascadeOutcome outcome = RunCascade(plans[s], tried, row);
        routed.outcomes.Set(s, row, outcome.quality, outcome.cost);
      }
    }
    return routed;
  }
};

// AutoMix over every pair of the pool. The recordings hold no self-verification: the scorer of the
// answers stands in for it, and costs nothing.
class AutomixContender final : public Contender {
 public:
  static constexpr size_t kBins = 9;

  AutomixContender() : Contender("automix") {}

  bool CanRoute(const RoutingSet& set) const override { return set.AnswersAreKnown(); }
  Routed Route(const Part& part, const Levels& levels) const override {
    std::vector<Choice> best(levels.budgets.size());
    const std::vector<double> costs = part.train.MeanCosts();
    for (size_t small = 0; small < costs.size(); ++small) {
      for (size_t big = 0; big < costs.size(); ++big) {
        if (costs[small] < costs[big]) Offer(part, levels, small, big, best);
      }
    }
    Routed routed;
    routed.outcomes = SettingOutcomes(best.size(), part.test.rows);
    for (size_t s = 0; s < best.size(); ++s) Try(part.test, part.scores.test, best[s], s, routed);
    return routed;
  }

 private:
  struct Choice {
    size_t small = 0, big = 0;
    VerifierPolicy policy;
    double quality = 0;
    double over_budget = 0;

    // The first budget is the cheapest model's mean cost on other requests: somebody has to run, the
    // nearest to it if nobody is within it.
    bool BetterThan(const Choice& other) const {
      if (over_budget != other.over_budget) return over_budget < other.over_budget;
      return quality > other.quality;
    }
  };

  static void Offer(const Part& part, const Levels& levels, size_t small, size_t big,
                    std::vector<Choice>& best) {
    const RoutingSet& set = part.train;
    const absl::Span<const float> verdict =
        absl::MakeConstSpan(part.scores.train).subspan(small * set.rows, set.rows);
    const auto of = [&](const std::vector<float>& values, size_t model) {
      return absl::MakeConstSpan(values).subspan(model * set.rows, set.rows);
    };
    const VerifierModel model =
        VerifierModel::Fit(verdict, of(set.quality, small), of(set.quality, big), kBins);
    // Sums by bin: of the small model, and of what going on adds.
    double cost = 0, quality = 0;
    std::vector<double> more_cost(kBins), more_quality(kBins);
    for (size_t row = 0; row < set.rows; ++row) {
      const size_t bin = VerifierModel::BinOf(verdict[row], kBins);
      cost += set.cost[set.At(small, row)];
      quality += set.quality[set.At(small, row)];
      more_cost[bin] += set.cost[set.At(big, row)];
      more_quality[bin] +=
          set.quality[set.At(big, row)] - set.quality[set.At(small, row)];
    }
    const double rows = static_cast<double>(set.rows);
    std::vector<VerifierPolicy> policies = CandidatePolicies(model);
    policies.push_back(VerifierPolicy(kBins, 0));
    for (const VerifierPolicy& policy : policies) {
      double total_cost = cost, total_quality = quality;
      for (size_t bin = 0; bin < kBins; ++bin) {
        if (!policy[bin]) continue;
        total_cost += more_cost[bin];
        total_quality += more_quality[bin];
      }
      for (size_t s = 0; s < best.size(); ++s) {
        const Choice choice = {small, big, policy, total_quality,
                               std::max(0.0, total_cost / rows - levels.budgets[s])};
        if (best[s].policy.empty() || choice.BetterThan(best[s])) best[s] = choice;
      }
    }
  }

  static void Try(const RoutingSet& set, const std::vector<float>& score, const Choice& choice,
                  size_t setting, Routed& routed) {
    for (size_t row = 0; row < set.rows; ++row) {
      const size_t small = set.At(choice.small, row), big = set.At(choice.big, row);
      const bool go_on = choice.policy[VerifierModel::BinOf(score[small], kBins)] != 0;
      routed.outcomes.Set(setting, row, set.quality[go_on ? big : small],
                          set.cost[small] + (go_on ? set.cost[big] : 0));
    }
  }
};

// Majority of the three best models' answers, ties to the best of them; beside the single models.
class VoteContender final : public Contender {
 public:
  VoteContender() : Contender("vote3") {}

  bool CanRoute(const RoutingSet& set) const override {
    return !set.answers.empty() && set.models.size() > 2;
  }
  Routed Route(const Part& part, const Levels&) const override {
    const RoutingSet& set = part.test;
    const std::vector<double> quality = part.train.MeanQualities();
    std::vector<size_t> order(quality.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return quality[a] > quality[b]; });
    const size_t models = set.models.size();
    Routed routed;
    routed.outcomes = SettingOutcomes(models + 1, set.rows);
    for (size_t row = 0; row < set.rows; ++row) {
      for (size_t m = 0; m < models; ++m) {
        routed.outcomes.Set(m, row, set.quality[set.At(m, row)], set.cost[set.At(m, row)]);
      }
      // Three voters: the best one is outvoted where the other two agree, or where it is silent.
      const size_t a = set.At(order[0], row), b = set.At(order[1], row), c = set.At(order[2], row);
      size_t winner = set.answers[a].empty() ? (set.answers[b].empty() ? c : b) : a;
      if (!set.answers[b].empty() && set.answers[b] == set.answers[c]) winner = b;
      routed.outcomes.Set(models, row, set.quality[winner], set.cost[a] + set.cost[b] + set.cost[c]);
    }
    return routed;
  }
};

// HybridLLM, for pairs: does the small model do as well, within the tolerance of widest labels?
class HybridContender final : public Estimator {
 public:
  explicit HybridContender(uint64_t seed) : Estimator("hybrid"), seed_(seed) {}

  bool CanRoute(const RoutingSet& set) const override { return set.models.size() == 2; }
  Estimates Estimate(const Part& part) const override {
    std::vector<float> gap(part.train.rows);
    for (size_t row = 0; row < part.train.rows; ++row) {
      gap[row] = part.train.quality[row] - part.train.quality[part.train.rows + row];
    }
    const std::vector<float> labels = GapLabels(gap, 1, WidestTolerance(gap, 1));
    const HiddenLayerModel model =
        HiddenLayerModel::Fit(part.train_x, labels, 1, part.train.group, {.seed = seed_});
    Estimates estimates;
    estimates.quality = model.Predict(part.test_x);
    // The large one is as good as itself for certain: the price sets the threshold.
    estimates.quality.insert(estimates.quality.end(), part.test.rows, 1.0f);
    return estimates;
  }

 private:
  const uint64_t seed_;
};

}  // namespace

std::vector<std::unique_ptr<Contender>> CallingContenders(uint64_t seed) {
  std::vector<std::unique_ptr<Contender>> list;
  list.push_back(std::make_unique<HybridContender>(seed));
  list.push_back(std::make_unique<FrugalContender>());
  list.push_back(std::make_unique<AutomixContender>());
  list.push_back(std::make_unique<VoteContender>());
  return list;
}

}  // namespace penstock::router
