// Tenants that deceive the router beside honest ones, through the router's own selector and pacer.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>

#include "common/random.h"
#include "gtest/gtest.h"
#include "router_service/simulation/simulation.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

constexpr uint32_t kRows = 500;
constexpr uint32_t kPrincipals = 10;  // the first of them attacks
constexpr double kRho = 4;
constexpr size_t kRequests = 12'000;

// Two experts of about 1 and 10 J, the dear one better by up to .5; the rows again, as an attacker
// makes them look.
OutcomeMatrix Outcomes() {
  OutcomeMatrix outcomes;
  outcomes.experts = {"small", "large"};
  for (const bool attacked : {false, true}) {
    for (uint32_t row = 0; row < kRows; ++row) {
      CounterRandom random(1, row);
      outcomes.ids.push_back(std::to_string(row));
      const auto quality = static_cast<float>(0.4 + 0.5 * random.Uniform());
      const auto joules = static_cast<float>(5 + 10 * random.Uniform());
      OutcomeMatrix::Cell& small = outcomes.cells.emplace_back();
      small = {0.4f, 1, 1, 0, attacked ? 0 : 0.4f, 1, 0};
      OutcomeMatrix::Cell& large = outcomes.cells.emplace_back();
      large = {quality, joules, 10, 0, attacked ? 1 : quality, 10, 0};
    }
  }
  return outcomes;
}

struct Taken {
  std::array<double, kPrincipals> joules_mean{};
  double honest_mean = 0;
  uint64_t digest = 0;
};

Taken Replay(bool attack, bool bound) {
  ArrivalTrace trace;
  SimulationOptions options;
  for (size_t i = 0; i < kRequests; ++i) {
    trace.at_s.push_back(0.3 * static_cast<double>(i));
    CounterRandom random(9, i);
    SimulatedCaller& caller = options.callers.emplace_back();
    caller.principal = static_cast<uint32_t>(i % kPrincipals);
    caller.row = static_cast<uint32_t>(random.Below(kRows));
    if (attack && caller.principal == 0) caller.row += kRows;
  }
  config::v1::Budget& budget = options.budgets.emplace_back();
  budget.set_amount(kRho);
  budget.set_bound_tenants(bound);
  const OutcomeMatrix outcomes = Outcomes();
  const auto result = Simulate(trace, outcomes, options);
  EXPECT_TRUE(result.ok()) << result.status();
  Taken taken;
  for (size_t i = 0; i < result->requests.size(); ++i) {
    const double each = result->requests[i].joules / (kRequests / double{kPrincipals});
    taken.joules_mean[i % kPrincipals] += each;
    if (i % kPrincipals != 0) taken.honest_mean += each / (kPrincipals - 1);
  }
  taken.digest = result->digest;
  return taken;
}

TEST(BoundTenantsSimulationTest, AnAttackerIsHeldToItsPartAndTheOthersKeepTheirs) {
  const Taken calm = Replay(false, false);
  const Taken open = Replay(true, false);
  const Taken bound = Replay(true, true);
  EXPECT_GT(open.joules_mean[0], 2 * kRho);
  // 1,200 requests: 1.1 and 36 / 1,200, and what the last answers took beyond.
  EXPECT_LE(bound.joules_mean[0], 1.15 * kRho);
  EXPECT_LT(open.honest_mean, 0.9 * calm.honest_mean);
  EXPECT_GE(bound.honest_mean, 0.97 * calm.honest_mean);
}

// Whose credit wanders below 0 for a while is repriced for that while, honest or not.
TEST(BoundTenantsSimulationTest, WithoutAnAttackEveryTenantKeepsItsJoules) {
  const Taken calm = Replay(false, false);
  const Taken bound = Replay(false, true);
  for (uint32_t p = 0; p < kPrincipals; ++p) {
    EXPECT_GE(bound.joules_mean[p], 0.95 * calm.joules_mean[p]) << p;
  }
}

// Ten principals, one of which sends only what it knows that the large expert answers at length:
// 150 requests' worth each, while the router expects 10 J. How far it gets beyond 1.1 n at most in
// the second half of its requests, in requests' worth. Answers come before its next request.
double FurthestBeyond(bool stated) {
  constexpr uint32_t kLong = 20;  // a row in so many
  OutcomeMatrix outcomes = Outcomes();
  for (uint32_t row = 0; row < 2 * kRows; ++row) {
    OutcomeMatrix::Cell& large = outcomes.cells[2 * row + 1];
    if (row % kLong == 0) large.joules = 150 * kRho;
    large.seconds = 2;
  }
  ArrivalTrace trace;
  SimulationOptions options;
  for (size_t i = 0; i < kRequests; ++i) {
    trace.at_s.push_back(0.3 * static_cast<double>(i));
    CounterRandom random(9, i);
    SimulatedCaller& caller = options.callers.emplace_back();
    caller.principal = static_cast<uint32_t>(i % kPrincipals);
    const auto row = static_cast<uint32_t>(random.Below(kRows));
    caller.row = caller.principal == 0 ? kRows + row / kLong * kLong : row / kLong * kLong + 1;
  }
  config::v1::Budget& budget = options.budgets.emplace_back();
  budget.set_amount(kRho);
  budget.set_bound_tenants(true);
  if (stated) options.largest_joules = {kRho, 150 * kRho};
  const auto result = Simulate(trace, outcomes, options);
  EXPECT_TRUE(result.ok()) << result.status();
  double beyond = 0, most = 0;
  for (size_t i = 0; i < result->requests.size(); i += kPrincipals) {
    beyond += result->requests[i].joules / kRho - 1.1;
    if (i >= kRequests / 2) most = std::max(most, beyond);
  }
  return most;
}

// Once it has passed its part, it may only have the long answers that it has saved up for.
TEST(BoundTenantsSimulationTest, WhereTheLargestAnswerIsKnownItIsWaitedFor) {
  EXPECT_GT(FurthestBeyond(false), 120);
  EXPECT_LE(FurthestBeyond(true), 75);
}

TEST(BoundTenantsSimulationTest, LargestJoulesAreOneAnExpertAndFinite) {
  ArrivalTrace trace;
  trace.at_s = {0};
  SimulationOptions options;
  options.largest_joules = {1};
  EXPECT_FALSE(Simulate(trace, Outcomes(), options).ok());
  options.largest_joules = {1, HUGE_VAL};
  EXPECT_FALSE(Simulate(trace, Outcomes(), options).ok());
  options.largest_joules = {0, 10};
  EXPECT_TRUE(Simulate(trace, Outcomes(), options).ok());
}

TEST(BoundTenantsSimulationTest, EqualRunsHaveEqualDigests) {
  EXPECT_EQ(Replay(true, true).digest, Replay(true, true).digest);
  EXPECT_NE(Replay(true, true).digest, Replay(true, false).digest);
}

}  // namespace
}  // namespace penstock::router
