#include "contender.h"

#include <algorithm>

#include "router_service/baselines/hashed_tfidf.h"

namespace penstock::router {
namespace {

constexpr uint32_t kReferenceColumns = 16384;
constexpr size_t kPrices = 200;
constexpr size_t kBudgets = 48;

std::vector<const std::string*> Pointers(const std::vector<std::string>& texts) {
  std::vector<const std::string*> pointers;
  for (const std::string& text : texts) pointers.push_back(&text);
  return pointers;
}

// The model that was cheapest, or best, on the training requests.
class SingleModel final : public Contender {
 public:
  SingleModel(std::string name, bool cheapest) : Contender(std::move(name)), cheapest_(cheapest) {}

  Routed Route(const Part& part, const Levels&) const override {
    const std::vector<double> costs = part.train.MeanCosts();
    const std::vector<double> qualities = part.train.MeanQualities();
    const size_t model = static_cast<size_t>(
        cheapest_ ? std::min_element(costs.begin(), costs.end()) - costs.begin()
                  : std::max_element(qualities.begin(), qualities.end()) - qualities.begin());
    Routed routed;
    routed.outcomes = SettingOutcomes(1, part.test.rows);
    for (size_t row = 0; row < part.test.rows; ++row) {
      const size_t at = part.test.At(model, row);
      routed.outcomes.Set(0, row, part.test.quality[at], part.test.cost[at]);
    }
    return routed;
  }

 private:
  const bool cheapest_;
};

// Every model alone: their hull is what mixing them at random reaches.
class Singles final : public Contender {
 public:
  Singles() : Contender("singles") {}

  Routed Route(const Part& part, const Levels&) const override {
    Routed routed;
    routed.outcomes.settings = part.test.models.size();
    routed.outcomes.rows = part.test.rows;
    routed.outcomes.quality = part.test.quality;
    routed.outcomes.cost = part.test.cost;
    return routed;
  }
};

// A model drawn with equal probability, in expectation.
class Random final : public Contender {
 public:
  Random() : Contender("random") {}

  Routed Route(const Part& part, const Levels&) const override {
    const float share = 1 / static_cast<float>(part.test.models.size());
    Routed routed;
    routed.outcomes = SettingOutcomes(1, part.test.rows);
    for (size_t row = 0; row < part.test.rows; ++row) {
      float quality = 0, cost = 0;
      for (size_t m = 0; m < part.test.models.size(); ++m) {
        quality += share * part.test.quality[part.test.At(m, row)];
        cost += share * part.test.cost[part.test.At(m, row)];
      }
      routed.outcomes.Set(0, row, quality, cost);
    }
    // Ties throughout: the order of the requests is left to chance.
    if (part.test.models.size() == 2) routed.gain.assign(part.test.rows, 0.0f);
    return routed;
  }
};

}  // namespace

Part::Part(RoutingSet learn, RoutingSet tried) : train(std::move(learn)), test(std::move(tried)) {
  const std::vector<const std::string*> train_texts = Pointers(train.prompts);
  const HashedTfidf tfidf(train_texts, kReferenceColumns);
  train_x = tfidf.Transform(train_texts);
  test_x = tfidf.Transform(Pointers(test.prompts));
  if (train.AnswersAreKnown()) scores = ScoreAnswers(train, train_x, test, test_x);
  const NearestNeighbours index(train_x);
  for (size_t row = 0; row < test.rows; ++row) {
    neighbours.push_back(index.Find(test_x.Columns(row), test_x.Values(row), kNeighbours));
  }
}

Levels MakeLevels(const RoutingSet& set) {
  const std::vector<double> costs = set.MeanCosts();
  const double cheapest = *std::min_element(costs.begin(), costs.end());
  const double dearest = *std::max_element(costs.begin(), costs.end());
  Levels levels;
  levels.prices = PriceGrid(dearest, kPrices);
  for (size_t i = 0; i < kBudgets; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(kBudgets - 1);
    levels.budgets.push_back(cheapest + share * (dearest - cheapest));
  }
  return levels;
}

Routed Estimator::Route(const Part& part, const Levels& levels) const {
  Estimates estimates = Estimate(part);
  const size_t models = part.test.models.size(), rows = part.test.rows;
  if (estimates.cost.empty()) {
    const std::vector<double> costs = part.train.MeanCosts();
    for (size_t m = 0; m < models; ++m) {
      estimates.cost.insert(estimates.cost.end(), rows, static_cast<float>(costs[m]));
    }
  }
  Routed routed;
  routed.outcomes = SweepPrices({estimates.quality, rows}, {estimates.cost, rows},
                                {part.test.quality, rows}, {part.test.cost, rows}, levels.prices);
  if (models == 2) {
    for (size_t row = 0; row < rows; ++row) {
      routed.gain.push_back(estimates.quality[rows + row] - estimates.quality[row]);
    }
  }
  return routed;
}

std::vector<std::unique_ptr<Contender>> SimpleContenders() {
  std::vector<std::unique_ptr<Contender>> list;
  list.push_back(std::make_unique<Random>());
  list.push_back(std::make_unique<SingleModel>("cheapest", true));
  list.push_back(std::make_unique<SingleModel>("best", false));
  list.push_back(std::make_unique<Singles>());
  return list;
}

}  // namespace penstock::router
