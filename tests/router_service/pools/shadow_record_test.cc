#include "router_service/pools/shadow_record.h"

#include <cmath>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

// Live predicts 0.5, with a squared error of 0.25; the shadow is off by a uniform draw from [0,
// 0.8), 0.213 in the mean, with a spread of 0.19: at 40 reports in doubt, at 500 beyond 2.5
// standard errors.
std::vector<ShadowReport> Reports(size_t count) {
  std::vector<ShadowReport> reports;
  for (size_t i = 0; i < count; ++i) {
    CounterRandom random(11, i);
    ShadowReport report;
    report.quality = random.Uniform() < 0.5 ? 1 : 0;
    report.live_quality = 0.5;
    report.shadow_quality = std::abs(report.quality - 0.8 * random.Uniform());
    report.agreed = random.Uniform() < 0.6;
    if (random.Uniform() < 0.7) report.propensity = 0.05 + 0.95 * random.Uniform();
    report.baseline_quality = report.agreed ? report.live_quality : random.Uniform();
    reports.push_back(report);
  }
  return reports;
}

struct TwoPass {
  double mean = 0, standard_error = 0;
};
TwoPass Of(const std::vector<double>& values) {
  TwoPass result;
  const double n = static_cast<double>(values.size());
  for (const double value : values) result.mean += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.standard_error = std::sqrt(squares / (n - 1) / n);
  return result;
}

TEST(ShadowRecordTest, AgreesWithTwoPassesOverAllReports) {
  ShadowRecord record;
  std::vector<double> live, shadow, gain, value;
  for (const ShadowReport& report : Reports(5000)) {
    record.Reported(report);
    const double r = report.quality;
    live.push_back(std::pow(report.live_quality - r, 2));
    shadow.push_back(std::pow(report.shadow_quality - r, 2));
    gain.push_back(live.back() - shadow.back());
    if (!report.propensity) continue;
    value.push_back(report.baseline_quality - r +
                    (report.agreed ? (r - report.live_quality) / *report.propensity : 0));
  }
  const ShadowCounts counts = record.counts();
  EXPECT_EQ(counts.reports(), 5000u);
  EXPECT_EQ(counts.value_gain.count(), value.size());
  EXPECT_NEAR(counts.live_brier.mean(), Of(live).mean, 1e-12);
  EXPECT_NEAR(counts.shadow_brier.mean(), Of(shadow).mean, 1e-12);
  EXPECT_NEAR(counts.brier_gain.mean(), Of(gain).mean, 1e-12);
  EXPECT_NEAR(counts.brier_gain.standard_error(), Of(gain).standard_error, 1e-12);
  EXPECT_NEAR(counts.value_gain.mean(), Of(value).mean, 1e-12);
  EXPECT_NEAR(counts.value_gain.standard_error(), Of(value).standard_error, 1e-12);
}

TEST(ShadowRecordTest, DecisionsAreMeansOfBoth) {
  ShadowRecord record;
  record.Decided({true, 0.5, 0.7, 2, 1});
  record.Decided({false, 0.9, 0.8, 4, 2});
  const ShadowCounts counts = record.counts();
  EXPECT_EQ(counts.decisions(), 2u);
  EXPECT_EQ(counts.agreed, 1u);
  EXPECT_DOUBLE_EQ(counts.live_quality.mean(), 0.7);
  EXPECT_DOUBLE_EQ(counts.shadow_quality.mean(), 0.75);
  EXPECT_DOUBLE_EQ(counts.live_energy_j.mean(), 3);
  EXPECT_DOUBLE_EQ(counts.shadow_energy_j.mean(), 1.5);
}

// Two experts, right with 0.9 and 0.4; asked with 0.2 and 0.8. The shadow always asks the first;
// what is predicted of both is far off.
TEST(ShadowRecordTest, TheDoublyRobustGainIsThatOfTheShadowsChoiceWhateverIsPredicted) {
  RunningMean gain;
  for (uint64_t i = 0; i < 200'000; ++i) {
    CounterRandom random(5, i);
    const bool first = random.Uniform() < 0.2;
    ShadowReport report;
    report.quality = random.Uniform() < (first ? 0.9 : 0.4) ? 1 : 0;
    report.live_quality = first ? 0.1 : 0.95;
    report.agreed = first;
    report.propensity = first ? 0.2 : 0.8;
    report.baseline_quality = 0.1;
    gain.Add(DoublyRobustGain(report));
  }
  // 0.9 less the mean of what was asked, 0.2 * 0.9 + 0.8 * 0.4 = 0.5.
  EXPECT_NEAR(gain.mean(), 0.4, 4 * gain.standard_error());
  EXPECT_LT(gain.standard_error(), 0.01);
}

config::v1::PromotionRule Rule(uint32_t reports, double standard_errors) {
  config::v1::PromotionRule rule;
  rule.set_reports(reports);
  rule.set_standard_errors(standard_errors);
  return rule;
}

TEST(PromotionRuleTest, PromotesExactlyWhenTheBoundIsPassedAndTheReportsAreEnough) {
  const config::v1::PromotionRule rule = Rule(40, 2.5);
  std::vector<double> gain;
  ShadowRecord record;
  size_t promoted = 0, refused_for_doubt = 0;
  for (const ShadowReport& report : Reports(3000)) {
    const double r = report.quality;
    gain.push_back(std::pow(report.live_quality - r, 2) - std::pow(report.shadow_quality - r, 2));
    const ShadowCounts counts = record.Reported(report);
    if (gain.size() < 2) continue;
    const TwoPass of = Of(gain);
    const bool sure = of.mean > 2.5 * of.standard_error;
    const bool wanted = gain.size() >= 40 && sure;
    EXPECT_EQ(MayPromote(rule, counts), wanted) << gain.size();
    promoted += wanted;
    refused_for_doubt += gain.size() >= 40 && !sure;
  }
  EXPECT_GT(promoted, 0u);
  EXPECT_GT(refused_for_doubt, 0u);
  EXPECT_FALSE(MayPromote(rule, ShadowCounts()));
}

TEST(PromotionRuleTest, AShadowThatIsNoBetterIsNeverPromoted) {
  ShadowRecord record;
  for (int i = 0; i < 2000; ++i) {
    ShadowReport report;
    report.quality = i % 2;
    report.live_quality = report.shadow_quality = 0.5;
    EXPECT_FALSE(MayPromote(Rule(30, 1), record.Reported(report)));
  }
}

TEST(PromotionRuleTest, AThousandReportsAndThreeStandardErrorsUnlessSaidOtherwise) {
  ShadowRecord record;
  ShadowReport better;
  better.quality = 1;
  better.live_quality = 0.5;
  better.shadow_quality = 0.9;
  for (int i = 1; i < 1000; ++i) {
    EXPECT_FALSE(MayPromote(config::v1::PromotionRule(), record.Reported(better))) << i;
  }
  EXPECT_TRUE(MayPromote(config::v1::PromotionRule(), record.Reported(better)));
}

TEST(PromotionRuleTest, RefusesWhatIsOutOfRange) {
  EXPECT_THAT(ValidatePromotionRule(Rule(30, 1)), IsOk());
  EXPECT_THAT(ValidatePromotionRule(Rule(1'000'000, 10)), IsOk());
  for (const auto& rule : {Rule(29, 3), Rule(1'000'001, 3), Rule(100, 0.9), Rule(100, 10.1),
                           Rule(100, std::nan(""))}) {
    EXPECT_EQ(ValidatePromotionRule(rule).code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace penstock::router
