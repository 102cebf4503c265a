#include "cli/plan/plan_report.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kProfile[] = R"(
experts:
  a: {energy_j: 4, latency_s: 0.5, quality: [0.9, 0.1, 0.2, 0.3]}
  b: {energy_j: 3, latency_s: 0.4, quality: [0.2, 0.7, 0.3, 0.2]}
  c: {energy_j: 2, latency_s: 0.3, quality: [0.1, 0.2, 0.6, 0.1]}
  d: {energy_j: 6, latency_s: 1.2, quality: [0.8, 0.9, 0.9, 0.5]}
  e: {energy_j: 5, latency_s: 0.9, quality: [0.3, 0.3, 0.4, 0.95]}
)";

class PlanReportTest : public ::testing::Test {
 protected:
  absl::StatusOr<PlanInput> Prepare(const std::string& profile, PlanInputOptions options = {}) {
    dir_.Write("profile.yaml", profile);
    options.profile_file = dir_.File("profile.yaml");
    return PreparePlan(options);
  }

  const TempDir dir_;
  FakeClock clock_;
};

TEST_F(PlanReportTest, PlansAProfileAndSaysWhatBindsAndWhatMoreBuys) {
  PlanInputOptions options;
  options.limits.k = 1;
  options.limits.energy_j = 9;
  options.limits.latency_s = 1;
  ASSERT_OK_AND_ASSIGN(const PlanInput input, Prepare(kProfile, options));
  ASSERT_OK_AND_ASSIGN(const PlanReport report, MakePlanReport(input, {}, clock_));
  EXPECT_NEAR(report.classes[0].plan.value, .6375, 1e-9);
  const std::string text = PlanText(input, report);
  EXPECT_THAT(text, AllOf(HasSubstr("experts   a, e"), HasSubstr("gap 0.00 %"),
                          HasSubstr("binds     either"), HasSubstr("buy +0.0500: a, c, e"),
                          HasSubstr("What joules buy")));
  const auto json = PlanJson(input, report);
  EXPECT_EQ(json["classes"][0]["plan"]["experts"], (nlohmann::json{"a", "e"}));
  EXPECT_EQ(json["classes"][0]["binds"], "either");
  EXPECT_THAT(SvgChart(PlanChart(input, report)), HasSubstr("single experts"));
}

TEST_F(PlanReportTest, AClassOfTheProfileHasLimitsOfItsOwn) {
  ASSERT_OK_AND_ASSIGN(
      const PlanInput input,
      Prepare(
          std::string(kProfile) +
          "classes:\n  fast: {latency_limit_s: 0.45}\n  sure: {required: [d], forbidden: [a]}\n"));
  ASSERT_OK_AND_ASSIGN(const PlanReport report, MakePlanReport(input, {}, clock_));
  EXPECT_THAT(report.classes[0].plan.experts, ::testing::ElementsAre(1, 2));
  EXPECT_THAT(report.classes[1].plan.experts, ::testing::Not(::testing::Contains(0)));
  EXPECT_THAT(report.classes[1].plan.experts, ::testing::Contains(3));
}

TEST_F(PlanReportTest, SaysWhichLimitAppliedAndInsteadOfWhich) {
  PlanInputOptions options;
  options.limits.energy_j = 9;
  options.limits.latency_s = 2;
  ASSERT_OK_AND_ASSIGN(
      const PlanInput input,
      Prepare(std::string(kProfile) + "classes:\n  fast: {latency_limit_s: 0.45}\n  any: {}\n",
              options));
  ASSERT_OK_AND_ASSIGN(const PlanReport report, MakePlanReport(input, {}, clock_));
  const std::string text = PlanText(input, report);
  EXPECT_THAT(text, HasSubstr("limits    9 J (--energy_limit_j), 450 ms (the profile, instead of "
                              "--latency_limit_ms 2000)\n"));
  EXPECT_THAT(text, HasSubstr("limits    9 J (--energy_limit_j), 2000 ms (--latency_limit_ms)\n"));
  const nlohmann::ordered_json json = PlanJson(input, report);
  EXPECT_EQ(json["classes"][0]["latency_limit_s"]["from"], "profile");
  EXPECT_EQ(json["classes"][0]["energy_limit_j"]["from"], "command line");
}

TEST_F(PlanReportTest, SaysThatNothingLimits) {
  ASSERT_OK_AND_ASSIGN(const PlanInput input, Prepare(kProfile));
  ASSERT_OK_AND_ASSIGN(const PlanReport report, MakePlanReport(input, {}, clock_));
  EXPECT_THAT(PlanText(input, report), HasSubstr("limits    no --energy_limit_j, no --latency_limit_ms\n"));
  EXPECT_TRUE(PlanJson(input, report)["classes"][0]["energy_limit_j"].is_null());
}

TEST_F(PlanReportTest, SaysThatChoosingAddsNothingWithoutIdleWatts) {
  PlanInputOptions options;
  ASSERT_OK_AND_ASSIGN(PlanInput input, Prepare(kProfile, options));
  PlanReportOptions awake;
  awake.watts = 40;
  awake.requests_per_s = 10;
  ASSERT_OK_AND_ASSIGN(PlanReport report, MakePlanReport(input, awake, clock_));
  EXPECT_THAT(PlanText(input, report), HasSubstr("adds nothing"));
  options.idle_watts = 7;
  ASSERT_OK_AND_ASSIGN(input, Prepare(kProfile, options));
  ASSERT_OK_AND_ASSIGN(report, MakePlanReport(input, awake, clock_));
  EXPECT_THAT(PlanText(input, report), HasSubstr("pays"));
}

TEST_F(PlanReportTest, NamesWhatAProfileGetsWrong) {
  EXPECT_THAT(Prepare("experts:\n  a: {energy: 4}\n"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("experts.a.energy: unknown")));
  EXPECT_THAT(Prepare("experts:\n  a: {energy_j: lots}\n"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("experts.a.energy_j")));
  EXPECT_THAT(Prepare("experts: [a"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Prepare("experts:\n  a: {energy_j: 4}\n"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no outcome table")));
  PlanInputOptions options;
  options.required = {"z"};
  EXPECT_THAT(Prepare(kProfile, options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("names \"z\"")));
}

TEST_F(PlanReportTest, PlansARecordingWithItsCascade) {
  std::string lines;
  CounterRandom random(1, 0);
  for (int i = 0; i < 400; ++i) {
    const bool easy = random.Uniform() < 0.6;
    absl::StrAppend(
        &lines, R"({"id": )", i, R"(, "experts": {"small": {"quality": )", easy ? 1 : 0,
        R"(, "joules": 1, "seconds": 0.1, "confidence": [)", easy ? 0.9 : 0.4, R"(, 0.1]},)",
        R"("large": {"quality": 1, "joules": 10, "seconds": 0.8, "confidence": [0.95, 0.05]}}})",
        "\n");
  }
  dir_.Write("t.jsonl", lines);
  PlanInputOptions options;
  options.outcomes_file = dir_.File("t.jsonl");
  options.limits.k = 1;
  options.limits.energy_j = 6;
  ASSERT_OK_AND_ASSIGN(const PlanInput input, PreparePlan(options));
  PlanReportOptions with_cascade;
  with_cascade.cascade = true;
  ASSERT_OK_AND_ASSIGN(const PlanReport report, MakePlanReport(input, with_cascade, clock_));
  // Both do not fit 6 J together; asked in turn, the large one only where the small one is unsure,
  // they do.
  EXPECT_THAT(report.classes[0].plan.experts, ::testing::ElementsAre(1));
  ASSERT_TRUE(report.cascade.has_value());
  EXPECT_EQ(report.cascade->stages.size(), 2u);
  EXPECT_EQ(report.cascade->heldout.quality, 1);
  EXPECT_THAT(PlanText(input, report), HasSubstr("Cascade: small (stands from confidence"));
}

TEST_F(PlanReportTest, ALimitNeedsTheFigureItLimits) {
  dir_.Write("t.jsonl", R"({"id": 1, "experts": {"a": {"quality": 1}}})");
  PlanInputOptions options;
  options.outcomes_file = dir_.File("t.jsonl");
  options.limits.energy_j = 6;
  EXPECT_THAT(PreparePlan(options),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("joules of every expert")));
}

}  // namespace
}  // namespace penstock::cli
