#include "expert_service/metering/energy_meter.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/random.h"
#include "gmock/gmock.h"
#include "tests/expert_service/metering/fake_counter.h"

namespace penstock::expert {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'000'000);
constexpr absl::Duration kSecond = absl::Seconds(1);

// A meter over a counter that the test moves.
struct Device {
  explicit Device(std::optional<double> idle_watts, uint64_t range = 0) {
    auto owned = std::make_unique<FakeCounter>(range);
    counter = owned.get();
    meter = std::make_unique<EnergyMeter>(EnergyMeter::Options{kSecond, idle_watts},
                                          std::move(owned), kStart);
    meter->Sample(kStart);
  }
  // Uses `joules` over `by` and samples.
  void Run(double joules, absl::Duration by) {
    counter->AddJoules(joules);
    now += by;
    meter->Sample(now);
  }
  // A launch over the next `by`; what its shares were told.
  std::vector<double> Launch(std::vector<EnergyShare> shares, absl::Duration by) {
    const auto launch = meter->Begin(std::move(shares), now);
    now += by;
    return meter->End(launch, now);
  }

  FakeCounter* counter;
  std::unique_ptr<EnergyMeter> meter;
  absl::Time now = kStart;
};

void ExpectConserved(const EnergyMeter::Totals& totals) {
  EXPECT_NEAR(totals.reported + totals.corrections + totals.unattributed + totals.idle,
              totals.meter, 1e-6 * std::max(1.0, totals.meter));
  double attributed = 0;
  for (const auto& [owner, joules] : totals.attributed) attributed += joules;
  EXPECT_NEAR(attributed, totals.reported + totals.corrections, 1e-6 * std::max(1.0, totals.meter));
}

TEST(EnergyMeterTest, WithoutLaunchesAllIsIdle) {
  Device device(/*idle_watts=*/5);
  device.Run(20, kSecond);
  const auto totals = device.meter->totals();
  EXPECT_DOUBLE_EQ(totals.idle, 20);
  EXPECT_DOUBLE_EQ(totals.meter, 20);
  EXPECT_EQ(totals.unattributed, 0);
  EXPECT_DOUBLE_EQ(device.meter->watts(), 20);
}

TEST(EnergyMeterTest, ChargesActiveJoulesAndBooksTheDifferenceAsACorrection) {
  Device device(/*idle_watts=*/10);
  EXPECT_THAT(device.Launch({{0, 4}}, 0.5 * kSecond), ::testing::ElementsAre(4));
  device.Run(30, 0.5 * kSecond);
  const auto totals = device.meter->totals();
  EXPECT_DOUBLE_EQ(totals.idle, 10);
  EXPECT_DOUBLE_EQ(totals.reported, 4);
  EXPECT_DOUBLE_EQ(totals.corrections, 16);
  EXPECT_DOUBLE_EQ(totals.attributed.at(0), 20);
  ExpectConserved(totals);
}

TEST(EnergyMeterTest, TellsTheModelTimesTheLastWindowsRatio) {
  Device device(/*idle_watts=*/10);
  device.Launch({{0, 4}}, 0.5 * kSecond);
  device.Run(30, 0.5 * kSecond);  // 20 J active for 4 modelled
  EXPECT_DOUBLE_EQ(device.meter->ratio(), 5);
  EXPECT_THAT(device.Launch({{0, 2}}, 0.1 * kSecond), ::testing::ElementsAre(10));
}

TEST(EnergyMeterTest, CountsTheCoresThatHelpALaunch) {
  Device device(/*idle_watts=*/0);
  absl::Duration helped;
  const auto launch = device.meter->Begin({{1, 1}}, device.now, [&] { return helped; });
  device.now += 0.4 * kSecond;
  helped = 0.8 * kSecond;  // by two cores all the time: 1.2 core seconds
  device.meter->End(launch, device.now);
  device.Launch({{2, 1}}, 0.4 * kSecond);
  device.Run(40, 0.2 * kSecond);
  const auto totals = device.meter->totals();
  EXPECT_NEAR(totals.attributed.at(1), 30, 1e-9);
  EXPECT_NEAR(totals.attributed.at(2), 10, 1e-9);
  ExpectConserved(totals);
}

TEST(EnergyMeterTest, CountsHelpInTheWindowInWhichItWasGiven) {
  Device device(/*idle_watts=*/0);
  absl::Duration helped;
  const auto launch = device.meter->Begin({{1, 2}}, device.now, [&] { return helped; });
  const auto alone = device.meter->Begin({{2, 2}}, device.now);
  helped = 2 * kSecond;
  device.Run(40, kSecond);  // 3 core seconds and 1
  device.Run(40, kSecond);  // nobody helps: 1 and 1
  const auto totals = device.meter->totals();
  EXPECT_NEAR(totals.attributed.at(1), 30 + 20, 1e-9);
  EXPECT_NEAR(totals.attributed.at(2), 10 + 20, 1e-9);
  device.meter->End(launch, device.now);
  device.meter->End(alone, device.now);
}

TEST(EnergyMeterTest, SplitsALaunchByModelledJoules) {
  Device device(/*idle_watts=*/0);
  device.Launch({{1, 0.3}, {2, 0.1}}, 0.9 * kSecond);
  device.Run(40, 0.1 * kSecond);
  const auto totals = device.meter->totals();
  EXPECT_NEAR(totals.attributed.at(1), 30, 1e-9);
  EXPECT_NEAR(totals.attributed.at(2), 10, 1e-9);
}

TEST(EnergyMeterTest, SplitsAWindowByBusySeconds) {
  Device device(/*idle_watts=*/0);
  device.Launch({{1, 7}}, 0.6 * kSecond);
  device.Launch({{2, 7}}, 0.2 * kSecond);
  device.Run(40, 0.2 * kSecond);
  const auto totals = device.meter->totals();
  EXPECT_NEAR(totals.attributed.at(1), 30, 1e-9);
  EXPECT_NEAR(totals.attributed.at(2), 10, 1e-9);
}

TEST(EnergyMeterTest, TheOrderOfSharesDoesNotMatter) {
  std::vector<EnergyShare> shares = {{0, 0.1}, {1, 0.7}, {2, 0.2}, {3, 0.05}};
  std::vector<double> first;
  do {
    Device device(/*idle_watts=*/3);
    device.Launch(shares, 0.5 * kSecond);
    device.Run(17, 0.5 * kSecond);
    const auto attributed = device.meter->totals().attributed;
    std::vector<double> joules;
    for (const auto& [owner, each] : attributed) joules.push_back(each);
    if (first.empty()) first = joules;
    EXPECT_THAT(joules, ::testing::Pointwise(::testing::DoubleNear(1e-12), first));
  } while (std::next_permutation(shares.begin(), shares.end(),
                                 [](const auto& a, const auto& b) { return a.owner < b.owner; }));
}

TEST(EnergyMeterTest, NobodysWorkStaysUnattributed) {
  Device device(/*idle_watts=*/0);
  device.Launch({{EnergyShare::kNobody, 1}}, 0.5 * kSecond);
  device.Run(8, 0.5 * kSecond);
  const auto totals = device.meter->totals();
  EXPECT_DOUBLE_EQ(totals.unattributed, 8);
  EXPECT_TRUE(totals.attributed.empty());
  ExpectConserved(totals);
}

TEST(EnergyMeterTest, ALaunchOverTwoWindowsIsChargedInBoth) {
  Device device(/*idle_watts=*/0);
  const auto launch = device.meter->Begin({{0, 5}}, device.now);
  device.Run(10, kSecond);
  EXPECT_DOUBLE_EQ(device.meter->totals().attributed.at(0), 10);
  EXPECT_DOUBLE_EQ(device.meter->totals().corrections, 10);
  device.now += 0.5 * kSecond;
  device.meter->End(launch, device.now);
  device.Run(6, 0.5 * kSecond);
  const auto totals = device.meter->totals();
  EXPECT_DOUBLE_EQ(totals.attributed.at(0), 16);
  ExpectConserved(totals);
}

TEST(EnergyMeterTest, TheEndMayKnowBetterWhatRan) {
  Device device(/*idle_watts=*/0);
  const auto launch = device.meter->Begin({{0, 6}, {1, 6}}, device.now);
  device.now += 0.5 * kSecond;
  EXPECT_THAT(device.meter->End(launch, device.now, {1, 3}), ::testing::ElementsAre(1, 3));
  device.Run(8, 0.5 * kSecond);
  const auto totals = device.meter->totals();
  EXPECT_DOUBLE_EQ(totals.attributed.at(0), 2);
  EXPECT_DOUBLE_EQ(totals.attributed.at(1), 6);
  EXPECT_DOUBLE_EQ(device.meter->ratio(), 2);
  ExpectConserved(totals);
}

TEST(EnergyMeterTest, ALaunchOverTwoWindowsGivesBothItsRatioByTime) {
  Device device(/*idle_watts=*/0);
  const auto launch = device.meter->Begin({{0, 6}}, device.now);
  device.Run(20, kSecond);
  EXPECT_DOUBLE_EQ(device.meter->ratio(), 1);  // what it takes in all is not known yet
  device.now += 0.5 * kSecond;
  EXPECT_THAT(device.meter->End(launch, device.now), ::testing::ElementsAre(6));
  EXPECT_DOUBLE_EQ(device.meter->ratio(), 5);  // 20 J for 4 of its 6
  device.Run(10, 0.5 * kSecond);
  EXPECT_DOUBLE_EQ(device.meter->ratio(), 5);  // 10 J for 2
  ExpectConserved(device.meter->totals());
}

TEST(EnergyMeterTest, TheRatioFollowsADeviceThatIsNeverIdle) {
  Device device(/*idle_watts=*/0);
  auto launch = device.meter->Begin({{0, 3}}, device.now);
  for (int i = 0; i < 20; ++i) {  // one launch after the other, 0.75 s each: 4 W by the model
    device.Run(4, 0.25 * kSecond);
    device.Run(4, 0.25 * kSecond);
    device.Run(4, 0.25 * kSecond);
    device.meter->End(launch, device.now);
    launch = device.meter->Begin({{0, 3}}, device.now);
    if (i < 2) continue;  // its first window is not over
    EXPECT_NEAR(device.meter->ratio(), 4, 1e-9) << i;
  }
  ExpectConserved(device.meter->totals());
}

TEST(EnergyMeterTest, IdlePowerIsTheLeastThatWasSeen) {
  Device device(/*idle_watts=*/std::nullopt);
  device.Run(50, kSecond);
  EXPECT_DOUBLE_EQ(device.meter->idle_watts(), 50);
  device.Run(20, kSecond);
  device.Run(0, kSecond);  // the counter did not step: no news
  device.Run(70, kSecond);
  EXPECT_DOUBLE_EQ(device.meter->idle_watts(), 20);
}

TEST(EnergyMeterTest, FollowsAWrapOfTheCounter) {
  Device device(/*idle_watts=*/0, /*range=*/100'000'000);
  for (int i = 0; i < 10; ++i) device.Run(30, kSecond);
  EXPECT_NEAR(device.meter->totals().meter, 300, 1e-4);
}

TEST(EnergyMeterTest, AResetLosesOnlyWhatWasUsedMeanwhile) {
  Device device(/*idle_watts=*/0);
  device.Run(30, kSecond);
  device.counter->Set(0);
  device.Run(5, kSecond);
  device.Run(30, kSecond);
  EXPECT_DOUBLE_EQ(device.meter->totals().meter, 60);
}

TEST(EnergyMeterTest, AStalledCounterIsReplacedByTheModelUntilItMoves) {
  Device device(/*idle_watts=*/10);
  device.Launch({{0, 1}}, 0.5 * kSecond);
  device.Run(30, 0.5 * kSecond);
  EXPECT_EQ(device.meter->method(), EnergyMethod::kCounter);
  EXPECT_DOUBLE_EQ(device.meter->ratio(), 20);
  for (int i = 0; i < 6; ++i) device.Run(0, kSecond);
  EXPECT_EQ(device.meter->method(), EnergyMethod::kModelled);
  const double before = device.meter->totals().meter;
  EXPECT_THAT(device.Launch({{0, 3}}, 0.5 * kSecond), ::testing::ElementsAre(3));
  device.Run(0, 0.5 * kSecond);
  EXPECT_DOUBLE_EQ(device.meter->totals().meter - before, 13);
  ExpectConserved(device.meter->totals());
  device.Run(100, kSecond);  // what it missed was charged by the model
  EXPECT_EQ(device.meter->method(), EnergyMethod::kCounter);
  EXPECT_DOUBLE_EQ(device.meter->totals().meter - before, 13);
  device.Run(40, kSecond);
  EXPECT_DOUBLE_EQ(device.meter->totals().meter - before, 53);
  ExpectConserved(device.meter->totals());
}

TEST(EnergyMeterTest, ACounterThatCannotBeReadIsReplacedByTheModel) {
  Device device(/*idle_watts=*/10);
  device.counter->Fail(true);
  for (int i = 0; i < 6; ++i) device.Run(0, kSecond);
  EXPECT_EQ(device.meter->method(), EnergyMethod::kModelled);
}

TEST(EnergyMeterTest, ModelledJoulesAreToldAsTheyAre) {
  EnergyMeter meter({kSecond, 10.0}, nullptr, kStart);
  const auto first = meter.Begin({{0, 2}, {1, 3}}, kStart);
  EXPECT_THAT(meter.End(first, kStart + 0.1 * kSecond), ::testing::ElementsAre(2, 3));
  const auto nobody = meter.Begin({{EnergyShare::kNobody, 1}}, kStart + 0.2 * kSecond);
  meter.End(nobody, kStart + 0.3 * kSecond);
  meter.Sample(kStart + kSecond);
  EXPECT_EQ(meter.method(), EnergyMethod::kModelled);
  const auto totals = meter.totals();
  EXPECT_DOUBLE_EQ(totals.idle, 10);
  EXPECT_DOUBLE_EQ(totals.reported, 5);
  EXPECT_DOUBLE_EQ(totals.corrections, 0);
  EXPECT_DOUBLE_EQ(totals.unattributed, 1);
  EXPECT_DOUBLE_EQ(meter.watts(), 16);
  ExpectConserved(totals);
}

TEST(EnergyMeterTest, ConservesOverRandomHistories) {
  for (const bool configured : {true, false}) {
    Device device(configured ? std::optional<double>(12) : std::nullopt, /*range=*/500'000'000);
    CounterRandom random(11, configured);
    for (int i = 0; i < 3000; ++i) {
      std::vector<EnergyShare> shares;
      const uint64_t count = 1 + random.Below(4);
      for (uint64_t s = 0; s < count; ++s) {
        const uint64_t owner = random.Below(6);
        shares.push_back({owner == 5 ? EnergyShare::kNobody : owner, random.Uniform()});
      }
      device.Launch(std::move(shares), absl::Milliseconds(200 * random.Uniform()));
      device.Run(10 * random.Uniform(), absl::Milliseconds(100 * random.Uniform()));
    }
    ExpectConserved(device.meter->totals());
    EXPECT_GT(device.meter->totals().meter, 10'000);
  }
}

}  // namespace
}  // namespace penstock::expert
