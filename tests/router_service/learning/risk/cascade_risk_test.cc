#include "router_service/learning/risk/cascade_risk.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/quality/cascade_quality.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

constexpr size_t kSmall = 0, kMiddle = 1, kLarge = 2;
const std::vector<std::string> kThree = {"small", "middle", "large"};
constexpr float kLogit90 = 2.1972246f;  // sigma of it is 0.9

// A standing answer is right with its own confidence, large with 0.9 whoever stands.
CascadeFit Fit() {
  CascadeFit fit;
  fit.weight.assign(3 * 3 * 3, 0);
  for (size_t standing = 0; standing < 3; ++standing) {
    fit.weight[(standing * 3 + standing) * 3 + 1] = 1;
    if (standing != kLarge) fit.weight[(standing * 3 + kLarge) * 3] = kLogit90;
  }
  fit.can_stand = {1, 1, 0};
  return fit;
}

// Confidences are drawn, and answers are right as often as they say.
OutcomeTable Table(size_t rows, uint64_t seed) {
  OutcomeTable table;
  table.experts = kThree;
  table.quality.resize(3 * rows);
  table.confidence.resize(3 * rows);
  for (size_t row = 0; row < rows; ++row) table.ids.push_back(absl::StrCat(row));
  for (size_t row = 0; row < rows; ++row) {
    CounterRandom random(seed, row);
    for (const size_t expert : {kSmall, kMiddle, kLarge}) {
      const double sure =
          0.35 + 0.2 * static_cast<double>(expert == kMiddle) + 0.42 * random.Uniform();
      const double right = expert == kLarge ? 0.9 : sure;
      table.quality[table.At(expert, row)] = random.Uniform() < right ? 1.0f : 0.0f;
      table.confidence[table.At(expert, row)] = {static_cast<float>(sure),
                                                 static_cast<float>(1 - sure)};
    }
  }
  return table;
}

// Which stage's answer a router that knows `stages` gives; the row's quality at all of them is
// known.
size_t Answers(const CascadeFit& fit, const OutcomeTable& table, const CascadeStages& stages,
               size_t row) {
  for (const size_t standing : stages.experts) {
    if (stages.After(standing).empty()) break;
    std::vector<float> quality(3);
    for (size_t i = 0; i < 3; ++i) {
      quality[i] = fit.Predict(3, standing, i, table.confidence[table.At(standing, row)]);
    }
    if (stages.MayStand(standing, quality)) return standing;
  }
  return stages.experts.back();
}

struct Served {
  double risk = 0, accepted = 0;
};
Served Serve(const CascadeFit& fit, const OutcomeTable& table, const CascadeStages& stages) {
  Served served;
  const double share = 1 / static_cast<double>(table.rows());
  for (size_t row = 0; row < table.rows(); ++row) {
    const size_t by = Answers(fit, table, stages, row);
    const bool wrong = table.quality[table.At(by, row)] == 0;
    const bool large_right = table.quality[table.At(kLarge, row)] == 1;
    served.accepted += by != kLarge ? share : 0;
    served.risk += by != kLarge && wrong && large_right ? share : 0;
  }
  return served;
}

CascadeRiskReport Calibrated(const OutcomeTable& table, double risk,
                             const std::vector<std::string>& stages = kThree) {
  const auto report = CalibrateCascade(Fit(), table, stages, risk);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.value_or(CascadeRiskReport());
}

TEST(CascadeRisk, ReportsWhatTheRouterWillDoOnTheSameRows) {
  const OutcomeTable table = Table(900, 1);
  const CascadeRiskReport report = Calibrated(table, 0.05);
  EXPECT_EQ(report.rows, 900u);
  EXPECT_EQ(report.alpha, 0.05);
  EXPECT_FALSE(report.always_escalates);
  const Served after =
      Serve(Fit(), table, {{kSmall, kMiddle, kLarge}, static_cast<float>(report.after.lead)});
  EXPECT_NEAR(report.after.risk, after.risk, 1e-12);
  EXPECT_NEAR(report.after.accepted, after.accepted, 1e-12);
  EXPECT_GT(after.accepted, 0.05);
  const Served before = Serve(Fit(), table, {{kSmall, kMiddle, kLarge}, 0});
  EXPECT_NEAR(report.before.risk, before.risk, 1e-12);
  EXPECT_NEAR(report.before.accepted, before.accepted, 1e-12);
}

TEST(CascadeRisk, TheLeadIsTheLeastThatKeepsTheRisk) {
  const OutcomeTable table = Table(300, 2);
  const double alpha = 0.06, n = 300;
  std::vector<double> leads;
  for (const size_t standing : {kSmall, kMiddle}) {
    for (size_t row = 0; row < table.rows(); ++row) {
      const AnswerConfidence& c = table.confidence[table.At(standing, row)];
      leads.push_back(static_cast<double>(Fit().Predict(3, standing, standing, c)) -
                      Fit().Predict(3, standing, kLarge, c));
    }
  }
  std::sort(leads.rbegin(), leads.rend());
  std::vector<double> largest(table.rows(), 0);  // loss of each row at this lead or a larger one
  double least = std::numeric_limits<double>::infinity();
  for (const double lead : leads) {
    const float above = std::nextafter(static_cast<float>(lead), 9.0f);
    double sum = 0;
    for (size_t row = 0; row < table.rows(); ++row) {
      const size_t by = Answers(Fit(), table, {{kSmall, kMiddle, kLarge}, above}, row);
      largest[row] =
          std::max<double>(largest[row], by != kLarge && table.quality[table.At(by, row)] == 0 &&
                                             table.quality[table.At(kLarge, row)] == 1);
      sum += largest[row];
    }
    if ((sum + 1) / (n + 1) > alpha) break;
    least = lead;
  }
  EXPECT_NEAR(Calibrated(table, alpha).after.lead, least, 1e-6);
}

TEST(CascadeRisk, WhatStandsAtALargerLeadStandsAtASmallerOne) {
  const OutcomeTable table = Table(400, 3);
  const CascadeFit fit = Fit();
  std::set<size_t> small_before, early_before;
  for (const double risk : {0.01, 0.03, 0.06, 0.1, 0.2, 0.7}) {
    const float lead = static_cast<float>(Calibrated(table, risk).after.lead);
    std::set<size_t> small, early;  // rows that small answers, that small or middle does
    for (size_t row = 0; row < table.rows(); ++row) {
      const size_t by = Answers(fit, table, {{kSmall, kMiddle, kLarge}, lead}, row);
      if (by == kSmall) small.insert(row);
      if (by != kLarge) early.insert(row);
    }
    EXPECT_TRUE(
        std::includes(small.begin(), small.end(), small_before.begin(), small_before.end()));
    EXPECT_TRUE(
        std::includes(early.begin(), early.end(), early_before.begin(), early_before.end()));
    small_before = small;
    early_before = early;
  }
  EXPECT_EQ(early_before.size(), 400u);  // nothing loses .7
  EXPECT_FALSE(small_before.empty());
}

TEST(CascadeRisk, TheStatedRiskHoldsOnFreshRowsInTheMean) {
  for (const std::vector<size_t>& stages :
       {std::vector<size_t>{kSmall, kLarge}, std::vector<size_t>{kSmall, kMiddle, kLarge}}) {
    std::vector<std::string> names;
    for (const size_t stage : stages) names.push_back(kThree[stage]);
    constexpr int kRepetitions = 200;
    double sum = 0, squares = 0;
    for (uint64_t repetition = 0; repetition < kRepetitions; ++repetition) {
      const CascadeRiskReport report = Calibrated(Table(120, 1000 + repetition), 0.05, names);
      const double risk = Serve(Fit(), Table(300, 5000 + repetition),
                                {stages, static_cast<float>(report.after.lead)})
                              .risk;
      sum += risk;
      squares += risk * risk;
    }
    const double mean = sum / kRepetitions;
    const double error = std::sqrt((squares / kRepetitions - mean * mean) / kRepetitions);
    EXPECT_LE(mean, 0.05 + 3 * error) << stages.size();
    EXPECT_GT(mean, 0.02) << stages.size();
  }
}

TEST(CascadeRisk, TooFewRowsEscalateAlways) {
  const CascadeRiskReport report = Calibrated(Table(18, 4), 0.05);
  EXPECT_TRUE(report.always_escalates);
  EXPECT_EQ(report.after.accepted, 0);
  EXPECT_EQ(report.after.risk, 0);
  EXPECT_FALSE(Calibrated(Table(19, 4), 0.05).always_escalates);
}

TEST(CascadeRisk, PartialQualityCountsAsWhatTheLastStageWouldAdd) {
  OutcomeTable table = Table(400, 6);
  for (size_t row = 0; row < table.rows(); ++row) {
    table.quality[table.At(kSmall, row)] = 0.7f;
    table.quality[table.At(kLarge, row)] = 0.75f;
  }
  // Where every row loses .05, .1 allows all of them and .04 the share of .8 of the rows.
  EXPECT_DOUBLE_EQ(Calibrated(table, 0.1, {"small", "large"}).after.accepted, 1);
  EXPECT_NEAR(Calibrated(table, 0.04, {"small", "large"}).after.accepted, 0.8 - 1 / (400 * 0.05),
              0.01);
}

TEST(CascadeRisk, RowsThatDoNotTellEveryStageDoNotCount) {
  OutcomeTable table = Table(100, 7);
  table.quality[table.At(kLarge, 3)] = std::nanf("");
  table.quality[table.At(kSmall, 4)] = std::nanf("");
  table.confidence[table.At(kMiddle, 5)].first = -1;
  EXPECT_EQ(Calibrated(table, 0.05).rows, 97u);
  EXPECT_EQ(Calibrated(table, 0.05, {"small", "large"}).rows, 98u);
}

TEST(CascadeRisk, SaysWhatIsWrongWithTheStages) {
  const OutcomeTable table = Table(50, 8);
  const auto message = [&](const std::vector<std::string>& stages, double risk = 0.05) {
    return std::string(CalibrateCascade(Fit(), table, stages, risk).status().message());
  };
  EXPECT_THAT(message({"small"}), HasSubstr("cascade has 1 stages, wanted at least 2"));
  EXPECT_THAT(message({"small", "huge"}), HasSubstr("\"huge\" is none of small, middle, large"));
  EXPECT_THAT(message({"small", "small"}), HasSubstr("\"small\" stands twice"));
  EXPECT_THAT(message({"large", "small"}), HasSubstr("too few confidences of \"large\""));
  EXPECT_THAT(message(kThree, 0), HasSubstr("risk is 0, wanted between 0 and 1"));
  EXPECT_THAT(message(kThree, 1), HasSubstr("risk is 1"));
}

}  // namespace
}  // namespace penstock::router
