#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "answer_scores.h"
#include "router_service/quality/learned/nearest_neighbours.h"
#include "router_service/features/sparse_rows.h"
#include "router_service/evaluation/price_sweep.h"
#include "routing_set.h"

namespace penstock::router {

// Requests to learn from and requests to be tried on, with what several contenders need of both.
struct Part {
  static constexpr size_t kNeighbours = 100;

  Part(RoutingSet learn, RoutingSet tried);

  const RoutingSet train, test;
  SparseRows train_x, test_x;                     // reference features
  std::vector<std::vector<Neighbour>> neighbours;  // of each test row among the training rows
  AnswerScores scores;  // where answers are known
};

// What is fixed before any request is seen: settings are numbered alike in every part.
struct Levels {
  std::vector<double> prices;   // for those who weigh quality against cost
  std::vector<double> budgets;  // mean cost, for those who plan for one
};
Levels MakeLevels(const RoutingSet& set);

struct Routed {
  SettingOutcomes outcomes;  // on the test rows
  // Of a pair: what asking the second model is thought to be worth, by test row; else empty.
  std::vector<float> gain;
};

class Contender {
 public:
  explicit Contender(std::string name) : name_(std::move(name)) {}
  virtual ~Contender() = default;

  const std::string& name() const { return name_; }
  virtual bool CanRoute(const RoutingSet&) const { return true; }
  virtual Routed Route(const Part& part, const Levels& levels) const = 0;

 private:
  const std::string name_;
};

// One call a request: argmax of estimated quality - price * estimated cost.
class Estimator : public Contender {
 public:
  using Contender::Contender;

  struct Estimates {
    std::vector<float> quality;  // [models, test rows]
    std::vector<float> cost;     // [models, test rows]; empty: the models' mean training costs
  };
  virtual Estimates Estimate(const Part& part) const = 0;
  Routed Route(const Part& part, const Levels& levels) const override;
};

// random, cheapest, best, singles.
std::vector<std::unique_ptr<Contender>> SimpleContenders();
// ridge, knn5, knn10, knn40, knn100, mlp, mf, oracle.
std::vector<std::unique_ptr<Contender>> EstimatingContenders(uint64_t seed);
// hybrid (pairs), and frugal, automix, vote3: several calls a request, all of them paid for.
std::vector<std::unique_ptr<Contender>> CallingContenders(uint64_t seed);

// penstock: what `penstock train` makes of the training part.
std::vector<std::unique_ptr<Contender>> OurContenders();

}  // namespace penstock::router
