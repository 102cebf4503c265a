#include "router_service/planning/resident_planner.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/planning/resident_problem.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr SetSearchLimits kExact = {.time = absl::InfiniteDuration()};

ResidentRequest RandomRequest(uint64_t seed, double idle_watts) {
  CounterRandom random(seed, 0);
  ResidentRequest request;
  request.experts = 2 + random.Below(7);
  request.rows = 5 + random.Below(40);
  request.k = 1 + random.Below(2);
  double joules = 0;
  for (size_t i = 0; i < request.experts; ++i) {
    const double dear = 1 + 20 * random.Uniform();
    joules += dear;
    for (size_t x = 0; x < request.rows; ++x) {
      request.values.push_back(random.Uniform() * (0.3 + dear / 30));
      request.joules.push_back(dear * (0.5 + random.Uniform()));
    }
    request.idle_watts.push_back(idle_watts * (0.5 + random.Uniform()));
  }
  request.requests_per_s = 1 + 10 * random.Uniform();
  request.watts = 0.3 * idle_watts * static_cast<double>(request.experts) +
                  joules / static_cast<double>(request.experts) * request.requests_per_s *
                      (0.2 + 0.6 * random.Uniform());
  return request;
}

TEST(ResidentPlannerTest, EqualsEnumerationOnRandomInstances) {
  const FakeClock clock;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const ResidentRequest request = RandomRequest(seed, 20);
    ResidentProblem problem(request);
    double best = 0;
    for (uint64_t mask = 0; mask < uint64_t{1} << request.experts; ++mask) {
      ExpertSet set;
      for (size_t i = 0; i < request.experts; ++i) {
        if ((mask >> i & 1) != 0) set.Add(i);
      }
      if (problem.Feasible(set)) best = std::max(best, problem.Value(set));
    }
    const auto plan = PlanResidents(request, kExact, clock);
    ASSERT_THAT(plan, IsOk());
    EXPECT_NEAR(plan->value, best, 1e-9);
    EXPECT_EQ(plan->end, SearchEnd::kProven);
  }
}

TEST(ResidentPlannerTest, KeepsTheLimitOfWatts) {
  const FakeClock clock;
  for (uint64_t seed = 100; seed < 130; ++seed) {
    const ResidentRequest request = RandomRequest(seed, 20);
    const auto plan = PlanResidents(request, kExact, clock);
    ASSERT_THAT(plan, IsOk());
    EXPECT_LE(plan->idle_watts, request.watts);
    // At the best price the spending is what is left but for one request, which may be split.
    const double one_request = *std::max_element(request.joules.begin(), request.joules.end()) *
                               static_cast<double>(request.k) / static_cast<double>(request.rows);
    EXPECT_LE(plan->idle_watts + plan->active_watts,
              request.watts + one_request * request.requests_per_s);
  }
}

TEST(ResidentPlannerTest, WithoutIdleWattsChoosingAddsNothing) {
  const FakeClock clock;
  for (uint64_t seed = 200; seed < 220; ++seed) {
    const auto plan = PlanResidents(RandomRequest(seed, 0), kExact, clock);
    ASSERT_THAT(plan, IsOk());
    EXPECT_NEAR(plan->value, plan->all_value, 1e-9);
    EXPECT_FALSE(plan->choosing_pays());
    EXPECT_THAT(DescribeChoice(*plan), HasSubstr("adds nothing"));
  }
}

TEST(ResidentPlannerTest, SleepsWhoCostsMoreIdleThanItBrings) {
  // The third answers no better than the second and idles at half the limit.
  ResidentRequest request;
  request.experts = 3;
  request.rows = 2;
  request.values = {.5, .5, .9, .9, .9, .9};
  request.joules = {1, 1, 4, 4, 4, 4};
  request.idle_watts = {15, 10, 50};
  request.watts = 100;
  request.requests_per_s = 20;
  const FakeClock clock;
  const auto plan = PlanResidents(request, kExact, clock);
  ASSERT_THAT(plan, IsOk());
  EXPECT_THAT(plan->experts, ElementsAre(1));
  EXPECT_NEAR(plan->value, .9, 1e-9);
  // All awake leave 25 W for 20 requests: 1.25 J each, so a twelfth of them dear and the rest
  // cheap.
  EXPECT_NEAR(plan->all_value, .5 + .4 / 12, 1e-6);
  EXPECT_TRUE(plan->choosing_pays());
  EXPECT_THAT(DescribeChoice(*plan), HasSubstr("pays"));
}

TEST(ResidentPlannerTest, LeavesOutWhoIsTooSlowAndKeepsWhoIsRequired) {
  ResidentRequest request = RandomRequest(7, 5);
  request.latency_s.assign(request.experts, 1);
  request.latency_s[0] = 3;
  request.latency_limit_s = 2;
  request.required = {1};
  const FakeClock clock;
  const auto plan = PlanResidents(request, kExact, clock);
  ASSERT_THAT(plan, IsOk());
  EXPECT_THAT(plan->experts, ::testing::Contains(1));
  EXPECT_THAT(plan->experts, ::testing::Not(::testing::Contains(0)));
  request.required = {0};
  EXPECT_THAT(PlanResidents(request, kExact, clock),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(ResidentPlannerTest, NamesWhatIsWrongWithARequest) {
  const FakeClock clock;
  ResidentRequest request = RandomRequest(8, 5);
  request.idle_watts[0] = -1;
  EXPECT_THAT(PlanResidents(request, kExact, clock),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("idle_watts[0]")));
  request = RandomRequest(8, 5);
  request.watts = 0;
  EXPECT_THAT(PlanResidents(request, kExact, clock),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("watts is 0")));
}

}  // namespace
}  // namespace penstock::router
