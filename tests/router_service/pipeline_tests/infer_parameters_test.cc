#include "router_service/dispatch/infer_parameters.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<InferParameters> Parse(std::vector<Parameter> parameters) {
  return ParseInferParameters(parameters);
}

TEST(InferParameters, NothingSaidMeansNoLimit) {
  ASSERT_OK_AND_ASSIGN(const InferParameters parameters, Parse({}));
  EXPECT_EQ(parameters.latency_budget, absl::InfiniteDuration());
  EXPECT_FALSE(parameters.energy_budget_j.has_value());
  EXPECT_FALSE(parameters.explain);
}

TEST(InferParameters, ReadsEveryParameterOfTheTable) {
  ASSERT_OK_AND_ASSIGN(const InferParameters parameters,
                       Parse({{"penstock_latency_budget_ms", 12.5},
                              {"penstock_energy_budget_j", 0.25},
                              {"penstock_min_quality", 0.9},
                              {"penstock_objective", std::string("energy")},
                              {"penstock_max_experts", int64_t{3}},
                              {"penstock_class", std::string("fast")},
                              {"penstock_experts", std::string("a, b")},
                              {"penstock_cache", std::string("bypass")},
                              {"penstock_explain", true}}));
  EXPECT_EQ(parameters.latency_budget, absl::Microseconds(12500));
  EXPECT_EQ(parameters.energy_budget_j, 0.25);
  EXPECT_EQ(parameters.min_quality, 0.9);
  EXPECT_EQ(parameters.objective, "energy");
  EXPECT_EQ(parameters.max_experts, 3u);
  EXPECT_EQ(parameters.application_class, "fast");
  EXPECT_THAT(parameters.forced_experts, ElementsAre("a", "b"));
  EXPECT_TRUE(parameters.explain);
}

TEST(InferParameters, ADoubleTakesIntegersToo) {
  ASSERT_OK_AND_ASSIGN(const InferParameters parameters,
                       Parse({{"penstock_latency_budget_ms", int64_t{20}},
                              {"penstock_energy_budget_j", uint64_t{2}}}));
  EXPECT_EQ(parameters.latency_budget, absl::Milliseconds(20));
  EXPECT_EQ(parameters.energy_budget_j, 2);
}

TEST(InferParameters, TheSmallerOfBudgetAndTritonsTimeoutCounts) {
  ASSERT_OK_AND_ASSIGN(const InferParameters parameters,
                       Parse({{"penstock_latency_budget_ms", int64_t{20}},
                              {"timeout", int64_t{5000}}}));
  EXPECT_EQ(parameters.latency_budget, absl::Milliseconds(5));
}

TEST(InferParameters, TimeoutZeroIsTritonsNone) {
  ASSERT_OK_AND_ASSIGN(const InferParameters parameters, Parse({{"timeout", int64_t{0}}}));
  EXPECT_EQ(parameters.latency_budget, absl::InfiniteDuration());
}

TEST(InferParameters, AnUnknownNameIsRefusedWithTheKnownOnes) {
  EXPECT_THAT(Parse({{"penstock_enregy_budget_j", 1.0}}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("penstock_enregy_budget_j"),
                             HasSubstr("penstock_energy_budget_j"))));
}

TEST(InferParameters, OthersPassUnread) {
  EXPECT_THAT(Parse({{"priority", uint64_t{1}}, {"mine", std::string("x")}}).status(), IsOk());
}

TEST(InferParameters, NamesWhatWasWantedAndWhatCame) {
  EXPECT_THAT(Parse({{"penstock_min_quality", 1.5}}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("penstock_min_quality"), HasSubstr("[0, 1]"),
                             HasSubstr("1.5"))));
}

struct BadParameter {
  const char* what;
  Parameter parameter;
};
class BadParameters : public ::testing::TestWithParam<BadParameter> {};

TEST_P(BadParameters, AreInvalidArgumentsThatNameTheParameter) {
  EXPECT_THAT(Parse({GetParam().parameter}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().parameter.name)));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadParameters,
    ::testing::Values(
        BadParameter{"NegativeLatency", {"penstock_latency_budget_ms", -1.0}},
        BadParameter{"LatencyAsString", {"penstock_latency_budget_ms", std::string("5")}},
        BadParameter{"NanEnergy", {"penstock_energy_budget_j", std::nan("")}},
        BadParameter{"InfiniteEnergy", {"penstock_energy_budget_j", HUGE_VAL}},
        BadParameter{"NoValue", {"penstock_energy_budget_j", std::monostate()}},
        BadParameter{"UnknownObjective", {"penstock_objective", std::string("speed")}},
        BadParameter{"NoExperts", {"penstock_max_experts", int64_t{0}}},
        BadParameter{"SeventeenExperts", {"penstock_max_experts", int64_t{17}}},
        BadParameter{"MaxExpertsAsDouble", {"penstock_max_experts", 2.0}},
        BadParameter{"EmptyClass", {"penstock_class", std::string()}},
        BadParameter{"EmptyExpertName", {"penstock_experts", std::string("a,,b")}},
        BadParameter{"ExpertTwice", {"penstock_experts", std::string("a,a")}},
        BadParameter{"UnknownCache", {"penstock_cache", std::string("maybe")}},
        BadParameter{"ExplainAsString", {"penstock_explain", std::string("true")}},
        BadParameter{"NegativeTimeout", {"timeout", int64_t{-1}}},
        BadParameter{"SequenceNumber", {"sequence_id", int64_t{5}}},
        BadParameter{"SequenceText", {"sequence_id", std::string("s")}}),
    [](const auto& info) { return info.param.what; });

TEST(InferParameters, NoSequenceIsNoSequence) {
  EXPECT_THAT(Parse({{"sequence_id", int64_t{0}}}).status(), IsOk());
  EXPECT_THAT(Parse({{"sequence_id", std::string()}}).status(), IsOk());
}

}  // namespace
}  // namespace penstock::router
