#include "router_service/simulation/load/load_simulation.h"

#include <cmath>
#include <string>

#include "common/random.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

// Three experts, the dearest the best on the whole, each by its own at each request; known
// beforehand.
OutcomeMatrix Planted(size_t rows) {
  OutcomeMatrix outcomes;
  outcomes.experts = {"small", "middle", "large"};
  for (size_t row = 0; row < rows; ++row) {
    CounterRandom random(3, row);
    outcomes.ids.push_back(std::to_string(row));
    for (size_t e = 0; e < 3; ++e) {
      OutcomeMatrix::Cell cell;
      cell.predicted_quality =
          static_cast<float>(0.4 + 0.1 * static_cast<double>(e) + 0.3 * random.Uniform());
      cell.quality = cell.predicted_quality;
      cell.seconds = static_cast<float>(static_cast<double>(e + 1) * (0.5 + random.Uniform()));
      outcomes.cells.push_back(cell);
    }
  }
  return outcomes;
}

LoadReport RunAt(LoadPolicy policy, double utilisation) {
  LoadOptions options;
  options.policy = policy;
  options.utilisation = utilisation;
  options.requests = 6000;
  const auto report = SimulateLoad(Planted(500), options);
  EXPECT_THAT(report.status(), IsOk());
  return report.ok() ? *report : LoadReport();
}

TEST(LoadSimulationTest, QualityAloneOverloadsTheBest) {
  const LoadReport report = RunAt(LoadPolicy::kQuality, 0.9);
  EXPECT_GT(report.busiest, 1.5);
  EXPECT_GT(report.p99, 20);
}

TEST(LoadSimulationTest, TogetherIsBetterThanOneByOneAtEveryLoad) {
  for (const double utilisation : {0.8, 0.9, 0.95}) {
    const LoadReport alone = RunAt(LoadPolicy::kFreeSlots, utilisation);
    const LoadReport together = RunAt(LoadPolicy::kTogether, utilisation);
    EXPECT_GT(together.quality, alone.quality + 0.005) << utilisation;
    EXPECT_GT(together.together, 5) << utilisation;
    EXPECT_LT(together.busiest, 1.1) << utilisation;
    EXPECT_LT(together.p99, alone.p99 + 4) << utilisation;
  }
}

TEST(LoadSimulationTest, ThePriceKeepsTheBusiestExpertNearTheTarget) {
  const LoadReport report = RunAt(LoadPolicy::kPriced, 0.7);
  EXPECT_LT(report.busiest, 0.95);
  EXPECT_LT(report.p99, 10);
  EXPECT_GT(report.quality, 0.5);
}

TEST(LoadSimulationTest, AnIdlePoolNeverWaits) {
  const LoadReport together = RunAt(LoadPolicy::kTogether, 0.1);
  const LoadReport quality = RunAt(LoadPolicy::kQuality, 0.1);
  EXPECT_EQ(together.digest, quality.digest);
  EXPECT_EQ(together.together, 0);
}

TEST(LoadSimulationTest, EqualRunsAreEqual) {
  EXPECT_EQ(RunAt(LoadPolicy::kTogether, 0.9).digest, RunAt(LoadPolicy::kTogether, 0.9).digest);
  EXPECT_NE(RunAt(LoadPolicy::kTogether, 0.9).digest, RunAt(LoadPolicy::kTogether, 0.8).digest);
}

TEST(LoadSimulationTest, RefusesWhatMeansNothing) {
  LoadOptions options;
  EXPECT_FALSE(SimulateLoad({}, options).ok());
  options.utilisation = 1.2;
  EXPECT_FALSE(SimulateLoad(Planted(5), options).ok());
  options.utilisation = 0.5;
  options.slots = 2;
  EXPECT_FALSE(SimulateLoad(Planted(5), options).ok());
  OutcomeMatrix unanswered = Planted(5);
  for (size_t e = 0; e < 3; ++e) unanswered.cells[e].quality = std::nanf("");
  options.slots = 96;
  EXPECT_FALSE(SimulateLoad(unanswered, options).ok());
}

}  // namespace
}  // namespace penstock::router
