#include "router_service/planning/configuration_table.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/planning/configuration_switcher.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Context 0 is easy: everybody loses little. Context 1 is hard and requires expert 1.
std::vector<ConfigurationContext> Contexts() { return {{"easy", {}}, {"hard", {1}}}; }
std::vector<Configuration> Configurations() {
  return {{"all", {0, 1, 2}, {.10, .20}, {400, 500}, 600},
          {"small", {0}, {.11, .60}, {100, 150}, 50},
          {"pair", {0, 1}, {.105, .215}, {300, 320}, 300}};
}

ConfigurationTable Table(const ConfigurationTable::Options& options) {
  auto table = ConfigurationTable::Create(options, Contexts(), Configurations());
  EXPECT_THAT(table, IsOk());
  return *std::move(table);
}

TEST(ConfigurationTableTest, WithoutWeightOnEnergyTheLeastLossIsChosen) {
  const ConfigurationTable table = Table({.energy_weight = 0});
  EXPECT_EQ(table.Lookup(0), 0u);
  EXPECT_EQ(table.Lookup(1), 0u);
}

TEST(ConfigurationTableTest, WithAllWeightOnEnergyTheLeastWattsWithinTheMarginAreChosen) {
  const ConfigurationTable table = Table({.energy_weight = 1});
  EXPECT_EQ(table.Lookup(0), 1u);
  // "small" would take less, but it loses more than the margin and lacks expert 1.
  EXPECT_EQ(table.Lookup(1), 2u);
}

TEST(ConfigurationTableTest, NeverChoosesWhatLacksARequiredExpert) {
  for (const double weight : {0.0, 0.5, 1.0}) {
    const ConfigurationTable table = Table({.margin = 1, .energy_weight = weight});
    EXPECT_TRUE(table.Feasible(1, table.Lookup(1)));
    EXPECT_NE(table.Lookup(1), 1u);
  }
  EXPECT_THAT(ConfigurationTable::Create({}, {{"impossible", {7}}}, {{"all", {0}, {0}, {1}, 0}}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("impossible")));
}

TEST(ConfigurationTableTest, NamesAConfigurationWithoutAFigureForEachContext) {
  EXPECT_THAT(ConfigurationTable::Create({}, Contexts(), {{"short", {1}, {0.1}, {1, 2}, 0}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("short")));
}

TEST(ConfigurationSwitcherTest, WakesAndSleepsWhoTheChangeConcerns) {
  FakeClock clock;
  const ConfigurationTable table = Table({.energy_weight = 1});
  ConfigurationSwitcher switcher({}, table, /*initial=*/0, clock);
  EXPECT_EQ(switcher.Tick(0), std::nullopt);  // the least dwell has not passed
  clock.Advance(absl::Seconds(30));
  const auto change = switcher.Tick(0);
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(change->configuration, 1u);
  EXPECT_THAT(change->wake, IsEmpty());
  EXPECT_THAT(change->sleep, ElementsAre(1, 2));
}

TEST(ConfigurationSwitcherTest, ChangesAtMostOnceADwellHoweverTheContextFlickers) {
  FakeClock clock;
  // Expert 1 is awake in both, so nothing forces a change.
  auto table = ConfigurationTable::Create(
      {.energy_weight = 1}, {{"a", {}}, {"b", {}}},
      {{"one", {0, 1}, {0, 0}, {100, 300}, 0}, {"two", {1, 2}, {0, 0}, {300, 100}, 0}});
  ASSERT_THAT(table, IsOk());
  ConfigurationSwitcher switcher({}, *table, 0, clock);
  int changes = 0;
  for (int second = 0; second < 600; ++second) {
    if (switcher.Tick(static_cast<size_t>(second % 2)).has_value()) ++changes;
    clock.Advance(absl::Seconds(1));
  }
  EXPECT_GT(changes, 0);
  EXPECT_LE(changes, 600 / 30);
}

TEST(ConfigurationSwitcherTest, DoesNotChangeForAContextThatWillNotLastLongEnoughToPay) {
  FakeClock clock;
  // 200 W saved; the change costs 4,000 J, so a context must last 20 s.
  auto table = ConfigurationTable::Create(
      {.energy_weight = 1}, {{"a", {}}, {"b", {}}},
      {{"one", {0}, {0, 0}, {100, 300}, 4000}, {"two", {1}, {0, 0}, {300, 100}, 4000}});
  ASSERT_THAT(table, IsOk());
  ConfigurationSwitcher switcher({}, *table, 0, clock);
  switcher.Tick(0);
  clock.Advance(absl::Seconds(100));
  // b is thought to last 60 s, so the change pays; then it turns out to last 5 s.
  EXPECT_TRUE(switcher.Tick(1).has_value());
  clock.Advance(absl::Seconds(5));
  EXPECT_FALSE(switcher.Tick(0).has_value());
  EXPECT_EQ(switcher.ExpectedDwell(1), absl::Seconds(5));
  clock.Advance(absl::Seconds(100));
  EXPECT_TRUE(switcher.Tick(0).has_value());
  clock.Advance(absl::Seconds(100));
  EXPECT_FALSE(switcher.Tick(1).has_value());
}

TEST(ConfigurationSwitcherTest, LeavesAtOnceWhatLacksARequiredExpert) {
  FakeClock clock;
  const ConfigurationTable table = Table({.energy_weight = 1});
  ConfigurationSwitcher switcher({}, table, /*initial=*/1, clock);
  const auto change = switcher.Tick(1);
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(change->configuration, 2u);
  EXPECT_THAT(change->wake, ElementsAre(1));
}

}  // namespace
}  // namespace penstock::router
