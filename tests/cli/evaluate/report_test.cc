#include "cli/evaluate/report.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
using Json = nlohmann::json;

std::vector<std::string> Keys(const Json& json) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  return keys;
}

Report Example() {
  Report report;
  report.requests = 200;
  report.experts = {{.name = "small", .expert = "small", .accuracy = 0.8, .energy_j_mean = 0.001, .p50_ms = 1},
                    {.name = "large", .expert = "large", .accuracy = 0.9, .energy_j_mean = 0.004, .p50_ms = 5}};
  report.baselines = report.experts;
  report.baselines[0].name = "smallest";
  report.baselines[1].name = "largest";
  ReportRow row;
  row.energy_budget_j = 0.002;
  row.binds = true;
  row.accuracy = 0.875;
  row.standard_error = 0.0234;
  row.energy_j_mean = 0.0019;
  row.overhead_j_mean = 0.00005;
  row.energy_method = "model";
  row.p50_ms = 1.5;
  row.p99_ms = 6;
  row.shares = {{"small", 0.7}, {"large", 0.295}, {"never", 0.005}};
  row.hull_accuracy = 0.83;
  row.random_accuracy = 0.82;
  row.shuffled_accuracy = 0.81;
  row.hindsight_accuracy = 0.95;
  report.budgets = {row};
  row.binds = false;
  row.over_cap_share = 0.01;
  report.caps = {row, row};
  row.energy_budget_j = 0;
  row.latency_budget_ms = 2.5;
  row.deadline_hit_share = 0.98;
  report.latency = {row};
  return report;
}

TEST(ReportJsonTest, HasItsTopLevelKeys) {
  const Json json = Json::parse(ReportJson(Example()));
  EXPECT_THAT(Keys(json), UnorderedElementsAre("requests", "budgets", "caps", "latency",
                                               "baselines", "experts"));
  EXPECT_EQ(json["requests"], 200);
  EXPECT_EQ(json["budgets"].size(), 1u);
  EXPECT_EQ(json["caps"].size(), 2u);
  EXPECT_EQ(json["latency"].size(), 1u);
}

TEST(ReportJsonTest, EveryRowHasExactlyItsKeys) {
  const Json json = Json::parse(ReportJson(Example()));
  for (const char* part : {"budgets", "caps", "latency"}) {
    for (const Json& row : json[part]) {
      EXPECT_THAT(Keys(row),
                  UnorderedElementsAre("energy_budget_j", "latency_budget_ms", "binds", "accuracy",
                                       "standard_error", "energy_j_mean", "overhead_j_mean",
                                       "energy_method", "p50_ms", "p99_ms", "deadline_hit_share",
                                       "over_cap_share", "shares", "hull_accuracy",
                                       "random_accuracy", "shuffled_accuracy",
                                       "hindsight_accuracy"))
          << part;
    }
  }
}

TEST(ReportJsonTest, RowsHoldTheirFigures) {
  const Json json = Json::parse(ReportJson(Example()));
  const Json expected = {{"energy_budget_j", 0.002},    {"latency_budget_ms", 0.0},
                         {"binds", true},               {"accuracy", 0.875},
                         {"standard_error", 0.0234},    {"energy_j_mean", 0.0019},
                         {"overhead_j_mean", 0.00005},  {"energy_method", "model"},
                         {"p50_ms", 1.5},               {"p99_ms", 6.0},
                         {"deadline_hit_share", 1.0},   {"over_cap_share", 0.0},
                         {"hull_accuracy", 0.83},       {"random_accuracy", 0.82},
                         {"shuffled_accuracy", 0.81},   {"hindsight_accuracy", 0.95},
                         {"shares", {{"small", 0.7}, {"large", 0.295}, {"never", 0.005}}}};
  EXPECT_EQ(json["budgets"][0], expected);
  EXPECT_EQ(json["caps"][0]["over_cap_share"], 0.01);
  EXPECT_EQ(json["latency"][0]["latency_budget_ms"], 2.5);
  EXPECT_EQ(json["latency"][0]["deadline_hit_share"], 0.98);
}

TEST(ReportJsonTest, BaselinesNameTheirExpert) {
  const Json json = Json::parse(ReportJson(Example()));
  const Json smallest = {{"name", "smallest"},
                         {"expert", "small"},
                         {"accuracy", 0.8},
                         {"energy_j_mean", 0.001},
                         {"p50_ms", 1.0}};
  ASSERT_EQ(json["baselines"].size(), 2u);
  EXPECT_EQ(json["baselines"][0], smallest);
  EXPECT_EQ(json["baselines"][1]["name"], "largest");
  EXPECT_EQ(json["experts"][1]["expert"], "large");
}

TEST(ReportJsonTest, PartsWithoutRowsAreEmptyLists) {
  const Json json = Json::parse(ReportJson({}));
  for (const char* part : {"budgets", "caps", "latency", "baselines", "experts"}) {
    EXPECT_TRUE(json[part].is_array() && json[part].empty()) << part;
  }
}

TEST(ReportTextTest, ShowsLimitsSharesAndWhichLimitsAreSlack) {
  const std::string text = ReportText(Example());
  EXPECT_THAT(text, HasSubstr("200 requests a row"));
  EXPECT_THAT(text, HasSubstr("joules are model"));
  EXPECT_THAT(text, HasSubstr("\n2.000 mJ  ")) << "the budget binds";
  EXPECT_THAT(text, HasSubstr("\n2.000 mJ (slack)"));
  EXPECT_THAT(text, HasSubstr("\n2.50 ms (slack)"));
  EXPECT_THAT(text, HasSubstr("87.50"));
  // Largest first; below one in a hundred is left out.
  EXPECT_THAT(text, HasSubstr("small 70, large 30"));
  EXPECT_THAT(text, Not(HasSubstr("never")));
}

}  // namespace
}  // namespace penstock::cli
