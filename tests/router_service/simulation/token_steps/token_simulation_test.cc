#include "router_service/simulation/token_steps/token_simulation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/simulation/token_steps/promise_report.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kNoDeadline = std::numeric_limits<double>::infinity();

// Log-normal, of median 1.
double Noise(CounterRandom& random, double sigma) {
  const double u = 1 - random.Uniform();
  return std::exp(sigma * std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * random.Uniform()));
}

// "large" is better and takes twice as long a step as "small"; answers are off from what is
// predicted of them by a log-normal factor.
OutcomeMatrix Planted(size_t rows, double sigma, float small_quality = 0.4f) {
  OutcomeMatrix outcomes;
  outcomes.experts = {"small", "large"};
  for (size_t row = 0; row < rows; ++row) {
    CounterRandom random(11, row);
    outcomes.ids.push_back(std::to_string(row));
    const auto prompt = static_cast<float>(20 + 200 * random.Uniform());
    const double tokens = 50 * std::exp(1.2 * random.Uniform());
    for (const float quality : {small_quality, 0.7f}) {
      OutcomeMatrix::Cell& cell = outcomes.cells.emplace_back();
      cell.quality = cell.predicted_quality = quality;
      cell.prompt_tokens = prompt;
      cell.predicted_tokens = static_cast<float>(tokens);
      cell.tokens = static_cast<float>(std::ceil(tokens * Noise(random, sigma)));
      cell.joules = cell.predicted_joules = cell.tokens;
    }
  }
  return outcomes;
}

std::vector<TokenProfile> Profiles(uint32_t batch_limit) {
  std::vector<TokenProfile> profiles(2);
  for (size_t e = 0; e < 2; ++e) {
    const double scale = static_cast<double>(e + 1);
    profiles[e].name = e == 0 ? "small" : "large";
    profiles[e].batch_limit = batch_limit;
    profiles[e].steps = {{1, 0.005 * scale, 1}, {32, 0.009 * scale, 5}};
    profiles[e].prefills = {{1, 0.005 * scale}, {1000, 0.08 * scale}};
  }
  return profiles;
}

ArrivalTrace Poisson(size_t requests, double rate) {
  ArrivalTrace trace;
  double at = 0;
  for (size_t i = 0; i < requests; ++i) {
    at += -std::log1p(-CounterRandom(3, i).Uniform()) / rate;
    trace.at_s.push_back(at);
  }
  return trace;
}

TokenStepResult Simulated(const OutcomeMatrix& outcomes, absl::Span<const TokenProfile> profiles,
                          size_t requests, double load, TokenStepOptions options = {},
                          uint64_t seed = 1) {
  const double rate = load * PoolCapacity(outcomes, profiles);
  const DeadlineDraw draw{.unit_s = MeanUnloadedSeconds(outcomes, profiles)[0]};
  auto result =
      SimulateTokenSteps(DrawArrivals(Poisson(requests, rate), outcomes.rows(), draw, seed),
                         outcomes, profiles, options);
  EXPECT_THAT(result, IsOk());
  return *std::move(result);
}

TEST(TokenSimulationTest, PromisesAreKeptAsOftenAsTheySayWithinOneAndAHalfPoints) {
  const OutcomeMatrix outcomes = Planted(700, 0.4);
  const auto profiles = Profiles(8);
  for (const double promise : {0.8, 0.95, 0.99}) {
    const auto result = Simulated(outcomes, profiles, 25'000, 0.7, {.promise = promise});
    const PromiseReport report = MakePromiseReport(result, outcomes, 60);
    EXPECT_GT(report.requests, 20'000);
    EXPECT_NEAR(report.coverage, promise, 0.015);
    EXPECT_GE(report.worst_expert_coverage, promise - 0.03);
    // Deadlines lie beyond what was predicted, so more of them are met.
    EXPECT_GT(report.promised_share, 0.2);
    EXPECT_GT(report.promised_hit_share, promise);
  }
}

TEST(TokenSimulationTest, PromisesAreKeptNearTheDeadlineToo) {
  const OutcomeMatrix outcomes = Planted(700, 0.4);
  const auto result = Simulated(outcomes, Profiles(8), 25'000, 0.7, {.promise = 0.95});
  const PromiseReport report = MakePromiseReport(result, outcomes, 60);
  EXPECT_GT(report.near_deadline_share, 0.1);
  EXPECT_GE(report.near_deadline_hit_share, 0.94);
}

TEST(TokenSimulationTest, WhereTheFasterIsNearlyAsGoodMoreDeadlinesAreMet) {
  // "large" is the best in time either way; at risk it is worth 0.42.
  double met[2];
  const auto profiles = Profiles(8);
  for (const bool nearly : {false, true}) {
    const OutcomeMatrix outcomes = Planted(700, 0.4, nearly ? 0.45f : 0.4f);
    const auto result = Simulated(outcomes, profiles, 25'000, 0.7, {.promise = 0.95});
    const PromiseReport report = MakePromiseReport(result, outcomes, 60);
    EXPECT_NEAR(report.coverage, 0.95, 0.015);
    met[nearly ? 1 : 0] = report.promised_hit_share;
  }
  EXPECT_GT(met[1], met[0] + 0.003);
}

TEST(TokenSimulationTest, EveryRequestRunsOnceAndTakesAtLeastItsUnloadedTime) {
  const OutcomeMatrix outcomes = Planted(200, 0.5);
  const auto profiles = Profiles(4);
  const auto result = Simulated(outcomes, profiles, 4000, 0.9);
  ASSERT_EQ(result.runs.size(), 4000);
  std::vector<size_t> asked(2);
  for (const TokenRun& run : result.runs) {
    const OutcomeMatrix::Cell& cell = outcomes.Row(run.row)[run.expert];
    ++asked[run.expert];
    ASSERT_GE(run.started_s, run.arrived_s);
    ASSERT_GE(run.latency_s() + 1e-9,
              profiles[run.expert].UnloadedSeconds(cell.prompt_tokens, cell.tokens));
    ASSERT_GT(run.joules, 0);
  }
  EXPECT_GT(asked[0], 400);
  EXPECT_GT(asked[1], 400);
}

TEST(TokenSimulationTest, NoMoreRunAtOnceThanTheServersTake) {
  const OutcomeMatrix outcomes = Planted(200, 0.5);
  auto profiles = Profiles(3);
  profiles[0].servers = 2;
  const auto result = Simulated(outcomes, profiles, 3000, 1.1);
  for (uint32_t expert = 0; expert < 2; ++expert) {
    std::vector<std::pair<double, int>> changes;
    for (const TokenRun& run : result.runs) {
      if (run.expert != expert) continue;
      changes.emplace_back(run.started_s, 1);
      changes.emplace_back(run.finished_s, -1);
    }
    std::sort(changes.begin(), changes.end());
    int running = 0;
    int most = 0;
    for (const auto& [at, change] : changes) most = std::max(most, running += change);
    EXPECT_EQ(most, expert == 0 ? 6 : 3);
  }
}

TEST(TokenSimulationTest, WithoutADeadlineTheBestAnswersAndIsPromised) {
  const OutcomeMatrix outcomes = Planted(50, 0.2);
  const std::vector<TokenArrival> arrivals = {{0, kNoDeadline, 1}, {1, kNoDeadline, 2}};
  ASSERT_OK_AND_ASSIGN(const auto result, SimulateTokenSteps(arrivals, outcomes, Profiles(4), {}));
  for (const TokenRun& run : result.runs) {
    EXPECT_EQ(run.expert, 1);
    EXPECT_TRUE(run.promised);
  }
}

TEST(TokenSimulationTest, WhereNobodyIsInTimeTheFastestAnswersUnpromised) {
  const OutcomeMatrix outcomes = Planted(50, 0.2);
  ASSERT_OK_AND_ASSIGN(const auto result,
                       SimulateTokenSteps({{0, 1e-3, 1}}, outcomes, Profiles(4), {}));
  EXPECT_EQ(result.runs[0].expert, 0);
  EXPECT_FALSE(result.runs[0].promised);
}

TEST(TokenSimulationTest, APriceMovesRequestsToTheCheap) {
  OutcomeMatrix outcomes = Planted(50, 0.2);
  for (size_t i = 1; i < outcomes.cells.size(); i += 2) outcomes.cells[i].joules *= 10;
  const TokenStepOptions priced{.price_per_joule = 1};
  ASSERT_OK_AND_ASSIGN(const auto result,
                       SimulateTokenSteps({{0, kNoDeadline, 1}}, outcomes, Profiles(4), priced));
  EXPECT_EQ(result.runs[0].expert, 0);
}

TEST(TokenSimulationTest, EqualRunsHaveEqualDigestsAndSeedsDiffer) {
  const OutcomeMatrix outcomes = Planted(100, 0.4);
  const auto profiles = Profiles(4);
  const auto first = Simulated(outcomes, profiles, 2000, 0.7);
  EXPECT_EQ(first.digest, Simulated(outcomes, profiles, 2000, 0.7).digest);
  EXPECT_NE(first.digest, Simulated(outcomes, profiles, 2000, 0.7, {}, 2).digest);
}

TEST(TokenSimulationTest, AnExpertWithoutAnAnswerIsNotChosen) {
  OutcomeMatrix outcomes = Planted(1, 0.2);
  outcomes.cells[1].quality = std::numeric_limits<float>::quiet_NaN();
  ASSERT_OK_AND_ASSIGN(const auto result,
                       SimulateTokenSteps({{0, kNoDeadline, 0}}, outcomes, Profiles(4), {}));
  EXPECT_EQ(result.runs[0].expert, 0);
}

TEST(TokenSimulationTest, RefusesWhatMeansNothing) {
  const OutcomeMatrix outcomes = Planted(2, 0.2);
  const auto profiles = Profiles(4);
  const std::vector<TokenArrival> one = {{0, 1, 0}};
  const auto refused = [](const auto& result, const char* why) {
    EXPECT_THAT(result, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  refused(SimulateTokenSteps({}, outcomes, profiles, {}), "no arrivals");
  refused(SimulateTokenSteps(one, {}, profiles, {}), "no rows");
  refused(SimulateTokenSteps(one, outcomes, {profiles.data(), 1}, {}), "1 token profiles for 2");
  refused(SimulateTokenSteps(one, outcomes, profiles, {.promise = 1}), "promise is 1");
  OutcomeMatrix untold = outcomes;
  untold.cells[2].tokens = std::numeric_limits<float>::quiet_NaN();
  refused(SimulateTokenSteps(one, untold, profiles, {}), "request 1 has an answer without tokens");
  refused(SimulateTokenSteps({{0, 1, 2}}, outcomes, profiles, {}), "row 2");
  refused(SimulateTokenSteps({{0, 0, 1}}, outcomes, profiles, {}), "deadline of 0");
  refused(SimulateTokenSteps({{2, 1, 0}, {1, 1, 0}}, outcomes, profiles, {}), "ascending");
}

TEST(CompleteTokensTest, FillsInJoulesAndPredictions) {
  constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
  OutcomeMatrix outcomes = Planted(2, 0);
  for (OutcomeMatrix::Cell& cell : outcomes.cells) {
    cell.joules = cell.predicted_joules = cell.predicted_tokens = kUnknown;
    cell.tokens = &cell < &outcomes.cells[2] ? 10 : 30;
  }
  outcomes.cells[3].predicted_joules = 6;
  ASSERT_THAT(CompleteTokens(outcomes, Profiles(32)), IsOk());
  // 5 J a step of 32.
  EXPECT_FLOAT_EQ(outcomes.cells[0].joules, 10 * 5.0f / 32);
  EXPECT_FLOAT_EQ(outcomes.cells[0].predicted_tokens, 20);
  // As many times the mean as its joules are of 20 tokens' joules.
  EXPECT_FLOAT_EQ(outcomes.cells[3].predicted_tokens, 6 * 32.0f / 5);
  outcomes.cells[2].tokens = kUnknown;
  EXPECT_THAT(CompleteTokens(outcomes, Profiles(32)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("request 1: the tokens of small are not told")));
}

TEST(DrawArrivalsTest, DeadlinesAreLogUniformInTheirRange) {
  const auto arrivals =
      DrawArrivals(Poisson(4000, 10), 5, {.unit_s = 2, .least = 1.5, .most = 6}, 1);
  ASSERT_EQ(arrivals.size(), 4000);
  size_t below_middle = 0;
  std::vector<size_t> rows(5);
  for (const TokenArrival& arrival : arrivals) {
    ASSERT_GE(arrival.deadline_s, 3);
    ASSERT_LE(arrival.deadline_s, 12);
    below_middle += arrival.deadline_s < 6 ? 1 : 0;
    ++rows[arrival.row];
  }
  // Half, and a fifth each, within four standard errors.
  EXPECT_NEAR(static_cast<double>(below_middle), 2000, 127);
  for (const size_t count : rows) EXPECT_NEAR(static_cast<double>(count), 800, 102);
}

TEST(PromiseReportTest, CountsWhatWasPromisedAndKept) {
  const OutcomeMatrix outcomes = Planted(1, 0);
  const auto run = [](double at, double latency, double deadline, double q, bool promised) {
    TokenRun r;
    r.arrived_s = r.started_s = at;
    r.finished_s = at + latency;
    r.deadline_s = deadline;
    r.predicted_s = q;
    r.promised = promised;
    return r;
  };
  TokenStepResult result;
  result.runs = {run(0, 9, 1, 1, true),    // before what is counted
                 run(5, 2, 10, 3, true),   // far from its deadline, kept
                 run(5, 5, 10, 4, true),   // later than predicted, in time
                 run(5, 9, 10, 8, true),   // near, in time
                 run(5, 12, 10, 9, true),  // near, late
                 run(5, 3, 2, 4, false)};
  result.runs.back().expert = 1;  // of quality 0.7, the others' being 0.4
  const PromiseReport report = MakePromiseReport(result, outcomes, 5);
  EXPECT_EQ(report.requests, 5);
  EXPECT_DOUBLE_EQ(report.coverage, 0.4);
  EXPECT_DOUBLE_EQ(report.promised_share, 0.8);
  EXPECT_DOUBLE_EQ(report.promised_hit_share, 0.75);
  EXPECT_DOUBLE_EQ(report.near_deadline_share, 0.5);
  EXPECT_DOUBLE_EQ(report.near_deadline_hit_share, 0.5);
  EXPECT_DOUBLE_EQ(report.unpromised_share, 0.2);
  EXPECT_DOUBLE_EQ(report.unpromised_hit_share, 0);
  EXPECT_FLOAT_EQ(static_cast<float>(report.quality), 0.46f);
  EXPECT_FLOAT_EQ(static_cast<float>(report.promised_quality), 0.4f);
  // No expert has had enough requests to be judged.
  EXPECT_TRUE(std::isnan(report.worst_expert_coverage));
}

}  // namespace
}  // namespace penstock::router
