#include "router_service/resilience/outlier_ejection.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Time kStart = absl::FromUnixSeconds(1'000'000);

EjectionCandidate Of(uint64_t successes, uint64_t failures, double latency_s) {
  EjectionCandidate candidate;
  candidate.recent.successes = successes;
  candidate.recent.failures = failures;
  candidate.recent.log_latency_sum = static_cast<double>(successes) * std::log(latency_s);
  return candidate;
}

std::vector<size_t> Sweep(std::vector<EjectionCandidate>& replicas, absl::Time now = kStart,
                          const EjectionOptions& options = {}) {
  return SweepOutliers(absl::MakeSpan(replicas), options, now);
}

TEST(OutlierEjectionTest, EjectsWhoFailsMoreOftenThanTheOthers) {
  std::vector<EjectionCandidate> replicas = {Of(100, 0, 0.01), Of(70, 30, 0.01), Of(99, 1, 0.01)};
  EXPECT_THAT(Sweep(replicas), ElementsAre(1));
  EXPECT_EQ(replicas[1].ejection.reason, EjectionReason::kSuccessRate);
  EXPECT_EQ(replicas[1].ejection.until, kStart + absl::Seconds(10));
}

TEST(OutlierEjectionTest, EjectsWhoIsMuchSlowerThanTheOthers) {
  std::vector<EjectionCandidate> replicas = {Of(100, 0, 0.010), Of(100, 0, 0.012),
                                             Of(100, 0, 0.060)};
  EXPECT_THAT(Sweep(replicas), ElementsAre(2));
  EXPECT_EQ(replicas[2].ejection.reason, EjectionReason::kLatency);
  replicas = {Of(100, 0, 0.010), Of(100, 0, 0.012), Of(100, 0, 0.054)};  // 4.9 times
  EXPECT_THAT(Sweep(replicas), IsEmpty());
}

TEST(OutlierEjectionTest, WhereAllAreAlikeNobodyIsEjectedHoweverBadTheyAre) {
  std::vector<EjectionCandidate> replicas = {Of(30, 70, 1), Of(25, 75, 2), Of(35, 65, 1.5)};
  EXPECT_THAT(Sweep(replicas), IsEmpty());
}

TEST(OutlierEjectionTest, TooFewAnswersSayNothing) {
  std::vector<EjectionCandidate> replicas = {Of(100, 0, 0.01), Of(0, 19, 0.01), Of(19, 0, 9)};
  EXPECT_THAT(Sweep(replicas), IsEmpty());
  replicas = {Of(100, 0, 0.01), Of(0, 20, 0.01), Of(19, 0, 9)};
  EXPECT_THAT(Sweep(replicas), ElementsAre(1));
}

TEST(OutlierEjectionTest, TheWorstGoFirstAndTheCapKeepsTheRest) {
  std::vector<EjectionCandidate> replicas = {Of(60, 40, 0.01), Of(100, 0, 0.01), Of(40, 60, 0.01),
                                             Of(100, 0, 0.01), Of(100, 0, 0.01)};
  EXPECT_THAT(Sweep(replicas), ElementsAre(2, 0));  // two of five
  EjectionOptions options;
  options.max_share = 0.3;
  for (EjectionCandidate& replica : replicas) replica.ejection = {};
  EXPECT_THAT(Sweep(replicas, kStart, options), ElementsAre(2));
}

TEST(OutlierEjectionTest, OneOfTwoMayGoAndTheOtherStays) {
  std::vector<EjectionCandidate> replicas = {Of(100, 0, 0.01), Of(50, 50, 0.01)};
  EXPECT_THAT(Sweep(replicas), ElementsAre(1));
  EXPECT_FALSE(replicas[0].ejection.ejected());
}

TEST(OutlierEjectionTest, TheLastOneThatIsAvailableStays) {
  std::vector<EjectionCandidate> replicas = {Of(100, 0, 0.01), Of(100, 0, 0.01), Of(50, 50, 0.01),
                                             Of(100, 0, 0.01)};
  for (const size_t away : {0, 1, 3}) replicas[away].available = false;
  EXPECT_THAT(Sweep(replicas), IsEmpty());
  replicas[3].available = true;
  EXPECT_THAT(Sweep(replicas), ElementsAre(2));
}

TEST(OutlierEjectionTest, ReturnsAfterItsTimeAndStaysAwayTwiceAsLongIfItIsNoBetter) {
  std::vector<EjectionCandidate> replicas = {Of(100, 0, 0.01), Of(50, 50, 0.01), Of(100, 0, 0.01)};
  absl::Time now = kStart;
  EXPECT_THAT(Sweep(replicas, now), ElementsAre(1));
  for (const double seconds : {20, 40, 80, 120, 120}) {
    now = replicas[1].ejection.until - absl::Milliseconds(1);
    EXPECT_THAT(Sweep(replicas, now), IsEmpty());
    EXPECT_TRUE(replicas[1].ejection.ejected());
    now += absl::Milliseconds(1);
    // It returns, and the same sweep finds it as bad as before.
    EXPECT_THAT(Sweep(replicas, now), ElementsAre(1));
    EXPECT_EQ(replicas[1].ejection.until - now, absl::Seconds(seconds));
  }
  now = replicas[1].ejection.until;
  replicas[1].recent = Of(100, 0, 0.01).recent;
  EXPECT_THAT(Sweep(replicas, now), IsEmpty());
  EXPECT_FALSE(replicas[1].ejection.ejected());
  replicas[1].recent = Of(50, 50, 0.01).recent;
  now += absl::Seconds(10);
  EXPECT_THAT(Sweep(replicas, now), ElementsAre(1));
  EXPECT_EQ(replicas[1].ejection.until - now, absl::Seconds(10));
}

TEST(OutlierEjectionTest, OffEveryoneReturns) {
  std::vector<EjectionCandidate> replicas = {Of(100, 0, 0.01), Of(50, 50, 0.01)};
  Sweep(replicas);
  EjectionOptions options;
  options.off = true;
  EXPECT_THAT(Sweep(replicas, kStart, options), IsEmpty());
  EXPECT_FALSE(replicas[1].ejection.ejected());
}

TEST(OutlierEjectionTest, TheShareIsRoundedDownAndNeverAll) {
  EXPECT_EQ(MostEjected(0, 0.5), 0u);
  EXPECT_EQ(MostEjected(1, 1), 0u);
  EXPECT_EQ(MostEjected(2, 0.5), 1u);
  EXPECT_EQ(MostEjected(3, 0.5), 1u);
  EXPECT_EQ(MostEjected(10, 0.3), 3u);
  EXPECT_EQ(MostEjected(10, 1), 9u);
}

// Replicas come and go, fail and recover: the cap holds after every sweep, and whoever is sent away
// leaves somebody to ask.
TEST(OutlierEjectionPropertyTest, TheCapHoldsOnRandomHistories) {
  const auto seed =
      static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  size_t sent_away = 0;
  for (uint64_t history = 0; history < 100; ++history) {
    CounterRandom random(seed, history);
    EjectionOptions options;
    options.max_share = random.Uniform();
    absl::Time now = kStart;
    std::vector<EjectionCandidate> replicas(1 + random.Below(8));
    for (int step = 0; step < 100; ++step) {
      now += absl::Seconds(5 * random.Uniform());
      if (random.Below(10) == 0) replicas.emplace_back();
      if (random.Below(10) == 0 && replicas.size() > 1) {
        replicas.erase(replicas.begin() + static_cast<ptrdiff_t>(random.Below(replicas.size())));
      }
      for (EjectionCandidate& replica : replicas) {
        replica.available = random.Below(5) != 0;
        replica.recent = Of(random.Below(100), random.Below(60), 0.001 + random.Uniform()).recent;
      }
      const std::vector<size_t> gone = Sweep(replicas, now, options);
      // Whoever is sent away leaves somebody who is available.
      ASSERT_TRUE(gone.empty() || std::any_of(replicas.begin(), replicas.end(),
                                              [](const EjectionCandidate& replica) {
                                                return replica.available &&
                                                       !replica.ejection.ejected();
                                              }));
      for (const size_t index : gone) {
        ++sent_away;
        ASSERT_TRUE(replicas[index].available);
        ASSERT_GT(replicas[index].ejection.until, now);
        ASSERT_LE(replicas[index].ejection.until, now + options.max_ejection_time);
      }
      size_t ejected = 0;
      for (const EjectionCandidate& replica : replicas) ejected += replica.ejection.ejected();
      ASSERT_LE(ejected, MostEjected(replicas.size(), options.max_share));
      ASSERT_LE(static_cast<double>(ejected),
                options.max_share * static_cast<double>(replicas.size()) + 1e-6);
      ASSERT_LT(ejected, replicas.size());
    }
  }
  EXPECT_GT(sent_away, 100u);
}

}  // namespace
}  // namespace penstock::router
