#include "router_service/simulation/simulation.h"

#include <cmath>
#include <limits>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/simulation/event_queue.h"
#include "router_service/simulation/hindsight.h"
#include "router_service/simulation/spend_report.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

OutcomeMatrix::Cell Answer(float quality, float joules, float seconds) {
  return {quality, joules, seconds, 0, quality, joules, 0};
}

// Two experts of 1 and 10 J; the dear one is better by up to .5, and takes as long as it costs.
OutcomeMatrix Planted(size_t rows) {
  OutcomeMatrix outcomes;
  outcomes.experts = {"small", "large"};
  for (size_t row = 0; row < rows; ++row) {
    CounterRandom random(1, row);
    outcomes.ids.push_back(std::to_string(row));
    outcomes.cells.push_back(Answer(0.4f, 1, 1));
    outcomes.cells.push_back(Answer(static_cast<float>(0.4 + 0.5 * random.Uniform()), 10, 10));
  }
  return outcomes;
}

ArrivalTrace Steady(size_t requests, double gap_s) {
  ArrivalTrace trace;
  for (size_t i = 0; i < requests; ++i) trace.at_s.push_back(gap_s * static_cast<double>(i));
  return trace;
}

SimulationOptions PerRequest(double joules) {
  SimulationOptions options;
  options.budgets.emplace_back().set_amount(joules);
  return options;
}

TEST(EventQueueTest, EventsOfOneMomentKeepTheirOrder) {
  EventQueue<int> queue;
  queue.Push(2, 20);
  queue.Push(1, 10);
  queue.Push(2, 21);
  queue.Push(1, 11);
  std::vector<int> order;
  while (!queue.empty()) order.push_back(queue.Pop().what);
  EXPECT_THAT(order, testing::ElementsAre(10, 11, 20, 21));
}

TEST(SimulationTest, WithoutABudgetTheBestAnswers) {
  const OutcomeMatrix outcomes = Planted(50);
  ASSERT_OK_AND_ASSIGN(const auto result, Simulate(Steady(200, 1), outcomes, {}));
  for (const SimulatedRequest& request : result.requests) EXPECT_EQ(request.expert, 1);
}

TEST(SimulationTest, ARunEndsItsTimeAfterItBegan) {
  ASSERT_OK_AND_ASSIGN(const auto result, Simulate(Steady(3, 2), Planted(5), {}));
  EXPECT_DOUBLE_EQ(result.requests[1].arrived_s, 2);
  EXPECT_DOUBLE_EQ(result.requests[1].finished_s, 12);
}

TEST(SimulationTest, ABudgetPerRequestIsKept) {
  const OutcomeMatrix outcomes = Planted(500);
  ASSERT_OK_AND_ASSIGN(const auto result, Simulate(Steady(8000, 0.3), outcomes, PerRequest(4)));
  const SpendReport report = MakeSpendReport(result, outcomes, {.joules_per_request = 4});
  EXPECT_NEAR(report.spend_error, 0, 0.01);
  const HindsightPlan best =
      Hindsight(outcomes, RowsOf(result), 4, HindsightCost::kPredicted);
  EXPECT_GE(report.quality / best.quality, 0.99);
}

TEST(SimulationTest, WattsAreKept) {
  const OutcomeMatrix outcomes = Planted(500);
  SimulationOptions options = PerRequest(16);
  options.budgets[0].set_per(config::v1::Budget::SECOND);
  ASSERT_OK_AND_ASSIGN(const auto result, Simulate(Steady(8000, 0.25), outcomes, options));
  const SpendReport report = MakeSpendReport(result, outcomes, {.watts = 16});
  EXPECT_NEAR(report.spend_error, 0, 0.025);
}

TEST(SimulationTest, AHardBudgetIsNeverOverspent) {
  const OutcomeMatrix outcomes = Planted(500);
  for (const PriceRule rule : {PriceRule::kCredit, PriceRule::kMirrorDescent}) {
    SimulationOptions options = PerRequest(3);
    options.budgets[0].set_hard(true);
    options.pacer.rule = rule;
    options.pacer.start_price_per_joule = 1e-3;
    ASSERT_OK_AND_ASSIGN(const auto result, Simulate(Steady(4000, 0.3), outcomes, options));
    double spent = 0;
    for (size_t i = 0; i < result.requests.size(); ++i) {
      spent += result.requests[i].joules;
      ASSERT_LE(spent, 3 * static_cast<double>(i + 1) + 1e-6) << i;
    }
  }
}

TEST(SimulationTest, EqualRunsHaveEqualDigestsAndSeedsDiffer) {
  const OutcomeMatrix outcomes = Planted(100);
  SimulationOptions options = PerRequest(4);
  ASSERT_OK_AND_ASSIGN(const auto first, Simulate(Steady(2000, 0.3), outcomes, options));
  ASSERT_OK_AND_ASSIGN(const auto again, Simulate(Steady(2000, 0.3), outcomes, options));
  options.seed = 2;
  ASSERT_OK_AND_ASSIGN(const auto other, Simulate(Steady(2000, 0.3), outcomes, options));
  EXPECT_EQ(first.digest, again.digest);
  EXPECT_NE(first.digest, other.digest);
}

TEST(SimulationTest, RequestsBeyondTheSlotsWaitInOrder) {
  OutcomeMatrix outcomes;
  outcomes.experts = {"only"};
  outcomes.ids = {"a"};
  outcomes.cells = {Answer(1, 1, 10)};
  SimulationOptions options;
  options.slots = {1};
  ASSERT_OK_AND_ASSIGN(const auto result, Simulate(Steady(3, 1), outcomes, options));
  EXPECT_DOUBLE_EQ(result.requests[0].finished_s, 10);
  EXPECT_DOUBLE_EQ(result.requests[1].finished_s, 20);
  EXPECT_DOUBLE_EQ(result.requests[2].started_s, 20);
}

TEST(SimulationTest, AnExpertWithoutAnAnswerIsNotChosen) {
  OutcomeMatrix outcomes = Planted(1);
  outcomes.cells[1].quality = std::numeric_limits<float>::quiet_NaN();
  ASSERT_OK_AND_ASSIGN(const auto result, Simulate(Steady(5, 1), outcomes, {}));
  for (const SimulatedRequest& request : result.requests) EXPECT_EQ(request.expert, 0);
}

TEST(SimulationTest, DevicesThatStartToDrawMoreArePaidFor) {
  const OutcomeMatrix outcomes = Planted(500);
  SimulationOptions options = PerRequest(6);
  options.joules_factor = 1.5;
  options.joules_factor_from_s = 1200;
  ASSERT_OK_AND_ASSIGN(const auto result, Simulate(Steady(8000, 0.3), outcomes, options));
  const SpendReport report = MakeSpendReport(result, outcomes, {.joules_per_request = 6});
  EXPECT_NEAR(report.spend_error, 0, 0.021);
}

TEST(SimulationTest, RefusesWhatMeansNothing) {
  EXPECT_THAT(Simulate({}, Planted(1), {}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Simulate(Steady(1, 1), {}, {}), StatusIs(absl::StatusCode::kInvalidArgument));
  SimulationOptions options;
  options.slots = {1};
  EXPECT_THAT(Simulate(Steady(1, 1), Planted(1), options),
              StatusIs(absl::StatusCode::kInvalidArgument));
  options.slots = {};
  options.callers = {{0, 0}};
  EXPECT_THAT(Simulate(Steady(2, 1), Planted(1), options),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("1 callers for 2")));
  options.callers = {{0, 1}};
  EXPECT_THAT(Simulate(Steady(1, 1), Planted(1), options),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("row 1")));
}

}  // namespace
}  // namespace penstock::router
