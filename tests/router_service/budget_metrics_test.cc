#include "router_service/budget_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "router_service/pacing/budget_pacer.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

config::v1::Budget HourlyOf(const std::string& tenant) {
  config::v1::Budget budget;
  budget.set_resource(config::v1::Budget::REQUESTS);
  budget.set_per(config::v1::Budget::HOUR);
  budget.set_tenant(tenant);
  return budget;
}

TEST(WindowKeyTest, PartsAreTheNamesAsTheyWere) {
  for (const char* name : {"", "acme", "a/b", "100%", "%2F", "%252F/%", "/"}) {
    EXPECT_THAT(WindowKeyParts(WindowKey("po/ol%", HourlyOf(name))),
                ElementsAre("po/ol%", name, "REQUESTS", "HOUR"));
  }
}

TEST(BudgetMetricsTest, LabelsAreTheNamesAsTheyWere) {
  prometheus::Registry registry;
  PoolLabels labels;
  BudgetMetrics metrics(registry, labels);
  SharedWindowLedger::Figures figures;
  figures.key = WindowKey("eu/chat", HourlyOf("100%"));
  figures.granted = 7;
  metrics.Update({figures});
  EXPECT_THAT(prometheus::TextSerializer().Serialize(registry.Collect()),
              HasSubstr("penstock_router_shared_budget_amount{part=\"granted\",per=\"hour\","
                        "pool=\"eu/chat\",resource=\"requests\",tenant=\"100%\"} 7\n"));
  // One that is gone leaves no gauge behind.
  metrics.Update({});
  EXPECT_THAT(prometheus::TextSerializer().Serialize(registry.Collect()),
              Not(HasSubstr("eu/chat")));
}

}  // namespace
}  // namespace penstock::router
