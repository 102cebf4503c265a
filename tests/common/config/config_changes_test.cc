#include "common/config/config_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/config/yaml_config.h"
#include "penstock/config/v1/router.pb.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

config::v1::Router Parse(const std::string& yaml) {
  config::v1::Router config;
  EXPECT_THAT(ReadYaml(yaml, config), IsOk());
  return config;
}

std::vector<std::string> Changes(const std::string& before, const std::string& after) {
  return ChangedFields(Parse(before), Parse(after));
}

TEST(ConfigChangesTest, NamesFieldsInTheSchemasOrderWithoutValues) {
  EXPECT_THAT(Changes("{seed: 1, store: 'memory://'}", "{seed: 2, store: 'redis://:secret@host'}"),
              ElementsAre("seed", "store"));
  EXPECT_THAT(Changes("seed: 1", "seed: 1"), IsEmpty());
}

TEST(ConfigChangesTest, TellsItemsApartByTheirNames) {
  EXPECT_THAT(Changes("pools: [{name: a, max_in_flight: 1}, {name: b}, {name: c}]",
                      "pools: [{name: c}, {name: a, max_in_flight: 2}, {name: d}]"),
              ElementsAre("pools.a.max_in_flight", "pools.b (removed)", "pools.d (added)",
                          "pools (order)"));
  EXPECT_THAT(Changes("pools: [{name: a, experts: [{name: x, quality: 0.5}]}]",
                      "pools: [{name: a, experts: [{name: x, quality: 0.6}]}]"),
              ElementsAre("pools.a.experts.x.quality"));
}

TEST(ConfigChangesTest, ANameThatStandsTwiceIsAChangeOfItsList) {
  EXPECT_THAT(Changes("pools: [{name: a}]", "pools: [{name: a}, {name: a}]"),
              ElementsAre("pools"));
}

TEST(ConfigChangesTest, NamesEntriesOfMapsByTheirKeys) {
  EXPECT_THAT(Changes("pools: [{name: a, classes: {chat: {min_quality: 0.5}, old: {}}}]",
                      "pools: [{name: a, classes: {chat: {min_quality: 0.6}}}]"),
              ElementsAre("pools.a.classes.chat.min_quality", "pools.a.classes.old (removed)"));
}

TEST(ConfigChangesTest, TakesAListWithoutNamesAndADurationAsOneField) {
  EXPECT_THAT(Changes("budgets: [{resource: JOULES, per: HOUR, amount: 5}]",
                      "budgets: [{resource: JOULES, per: HOUR, amount: 6}]"),
              ElementsAre("budgets"));
  EXPECT_THAT(Changes("server: {drain: {grace: 1s}}", "server: {drain: {grace: 1.5s}}"),
              ElementsAre("server.drain.grace"));
}

TEST(ConfigChangesTest, TellsAnEmptyMessageFromNone) {
  EXPECT_THAT(Changes("pools: [{name: a}]", "pools: [{name: a, gate: {random: {}}}]"),
              ElementsAre("pools.a.gate.random (added)"));
}

TEST(ConfigChangesTest, StopsAtItsLimit) {
  const config::v1::Router before = Parse("pools: [{name: a}, {name: b}, {name: c}, {name: d}]");
  EXPECT_THAT(ChangedFields(before, config::v1::Router(), 2),
              ElementsAre("pools.a (removed)", "pools.b (removed)", "..."));
}

}  // namespace
}  // namespace penstock
