#include <algorithm>
#include <cmath>

#include "common/random.h"
#include "contender.h"
#include "router_service/learning/sparse/hidden_layer_model.h"
#include "router_service/learning/sparse/matrix_factorisation.h"
#include "router_service/baselines/ridge.h"
#include "router_service/features/sparse_rows.h"

namespace penstock::router {
namespace {

// Of the frontier that estimates of quality reach on `held`, at the models' mean costs on `learn`.
double AiqOf(const RoutingSet& learn, const RoutingSet& held, const std::vector<float>& quality) {
  std::vector<float> costs;
  for (const double cost : learn.MeanCosts()) {
    costs.insert(costs.end(), held.rows, static_cast<float>(cost));
  }
  const SettingOutcomes outcomes =
      SweepPrices({quality, held.rows}, {costs, held.rows}, {held.quality, held.rows},
                  {held.cost, held.rows}, MakeLevels(learn).prices);
  std::vector<OperatingPoint> points = outcomes.Means({});
  const std::vector<double> single_cost = held.MeanCosts(), single = held.MeanQualities();
  const auto [cheapest, dearest] = std::minmax_element(single_cost.begin(), single_cost.end());
  points.push_back({*cheapest, single[static_cast<size_t>(cheapest - single_cost.begin())]});
  return Aiq(Frontier(points), *cheapest, *dearest);
}

// The reference gate: one ridge regression a model, strength by AIQ on a fifth of the training
// questions.
class RidgeContender final : public Estimator {
 public:
  explicit RidgeContender(uint64_t seed) : Estimator("ridge"), seed_(seed) {}

  Estimates Estimate(const Part& part) const override {
    const size_t models = part.train.models.size();
    std::vector<size_t> learn, held;
    for (size_t row = 0; row < part.train.rows; ++row) {
      const bool is_held = CounterRandom(seed_, part.train.group[row]).Below(5) == 0;
      (is_held ? held : learn).push_back(row);
    }
    const RoutingSet learn_set = part.train.Subset(learn), held_set = part.train.Subset(held);
    const SparseRows learn_x = TakeRows(part.train_x, learn);
    const SparseRows held_x = TakeRows(part.train_x, held);
    double best_penalty = 0, best_aiq = 0;
    for (const double penalty : {1.0, 3.0, 10.0, 30.0}) {
      const std::vector<float> guess =
          Ridge::Fit(learn_x, learn_set.quality, models, penalty).Predict(held_x);
      const double aiq = AiqOf(learn_set, held_set, guess);
      if (best_penalty == 0 || aiq > best_aiq) {
        best_aiq = aiq;
        best_penalty = penalty;
      }
    }
    const Ridge fit = Ridge::Fit(part.train_x, part.train.quality, models, best_penalty);
    return {fit.Predict(part.test_x), {}};
  }

 private:
  const uint64_t seed_;
};

// Mean score of the nearest training requests; with shrinkage where that pays.
class KnnContender final : public Estimator {
 public:
  KnnContender(size_t k, double prior_weight, double temperature)
      : Estimator("knn" + std::to_string(k)),
        k_(k),
        prior_weight_(prior_weight),
        temperature_(temperature) {}

  Estimates Estimate(const Part& part) const override {
    const std::vector<double> prior = part.train.MeanQualities();
    Estimates estimates;
    for (size_t m = 0; m < part.train.models.size(); ++m) {
      const absl::Span<const float> labels =
          absl::MakeConstSpan(part.train.quality).subspan(m * part.train.rows, part.train.rows);
      for (size_t row = 0; row < part.test.rows; ++row) {
        const absl::Span<const Neighbour> all = part.neighbours[row];
        const NeighbourLabel label =
            ShrunkenMean(all.subspan(0, k_), labels, prior[m], prior_weight_, temperature_);
        estimates.quality.push_back(static_cast<float>(label.mean));
      }
    }
    return estimates;
  }

 private:
  const size_t k_;
  const double prior_weight_, temperature_;
};

class MlpContender final : public Estimator {
 public:
  explicit MlpContender(uint64_t seed) : Estimator("mlp"), seed_(seed) {}

  Estimates Estimate(const Part& part) const override {
    const HiddenLayerModel model =
        HiddenLayerModel::Fit(part.train_x, part.train.quality, part.train.models.size(),
                              part.train.group, {.seed = seed_});
    return {model.Predict(part.test_x), {}};
  }

 private:
  const uint64_t seed_;
};

class FactorisationContender final : public Estimator {
 public:
  explicit FactorisationContender(uint64_t seed) : Estimator("mf"), seed_(seed) {}

  Estimates Estimate(const Part& part) const override {
    const MatrixFactorisation model = MatrixFactorisation::Fit(
        part.train_x, part.train.quality, part.train.models.size(), part.train.group,
        {.seed = seed_});
    return {model.Predict(part.test_x), {}};
  }

 private:
  const uint64_t seed_;
};

// Knows every score and every cost.
class OracleContender final : public Estimator {
 public:
  OracleContender() : Estimator("oracle") {}

  Estimates Estimate(const Part& part) const override { return {part.test.quality, part.test.cost}; }
};

}  // namespace

std::vector<std::unique_ptr<Contender>> EstimatingContenders(uint64_t seed) {
  std::vector<std::unique_ptr<Contender>> list;
  list.push_back(std::make_unique<RidgeContender>(seed));
  for (const size_t k : {5, 10, 40}) list.push_back(std::make_unique<KnnContender>(k, 0, 0));
  list.push_back(std::make_unique<KnnContender>(100, 2, 0.05));
  list.push_back(std::make_unique<MlpContender>(seed));
  list.push_back(std::make_unique<FactorisationContender>(seed));
  list.push_back(std::make_unique<OracleContender>());
  return list;
}

}  // namespace penstock::router
