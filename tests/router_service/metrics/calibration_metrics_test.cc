#include "router_service/metrics/calibration_metrics.h"

#include "tests/router_service/metrics/metrics_fixture.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kBig[] = R"({expert="big",pool="pool"})";

class CalibrationMetricsTest : public MetricsFixture {
 protected:
  std::optional<double> OfBig(const std::string& name) const { return Value(name + kBig); }
  double Promises(const std::string& result) const {
    return Value("latency_promises_total{expert=\"big\",pool=\"pool\",result=\"" + result + "\"}")
        .value_or(0);
  }
  double Measured(const std::string& method) const {
    return Value("measured_joules_total{expert=\"big\",method=\"" + method + "\",pool=\"pool\"}")
        .value_or(0);
  }
};

// `big` says of itself: 10 ms and 1 J a row.
TEST_F(CalibrationMetricsTest, PredictionsStandBesideWhatWasMeasured) {
  Begin(absl::StrCat("learning: OFF\n", kTwoExperts));
  EXPECT_EQ(AskFor(absl::Milliseconds(25), "big:1", MakeReply(2, 0.9f, 3), MakeRequest(2)),
            absl::StatusCode::kOk);
  EXPECT_DOUBLE_EQ(*OfBig("predicted_latency_seconds_total"), 0.020);
  EXPECT_DOUBLE_EQ(*OfBig("measured_latency_seconds_total"), 0.025);
  EXPECT_DOUBLE_EQ(*OfBig("predicted_joules_total"), 2);
  EXPECT_DOUBLE_EQ(Measured("counter"), 3);
  EXPECT_EQ(Promises("broken"), 1);
  AskFor(absl::Milliseconds(15), "big:1", MakeReply(2, 0.9f, 1, 3), MakeRequest(2));
  EXPECT_DOUBLE_EQ(*OfBig("predicted_latency_seconds_total"), 0.040);
  EXPECT_DOUBLE_EQ(*OfBig("measured_latency_seconds_total"), 0.040);
  EXPECT_DOUBLE_EQ(Measured("counter"), 3);
  EXPECT_DOUBLE_EQ(Measured("modelled"), 1);
  EXPECT_EQ(Promises("kept"), 1);
  EXPECT_EQ(Promises("broken"), 1);
}

TEST_F(CalibrationMetricsTest, FailuresSayNothing) {
  Begin(absl::StrCat("learning: OFF\n", kTwoExperts));
  InferReply failed = MakeReply(1, 0.9f, 3);
  failed.status = absl::InternalError("broken");
  Target("small:1").AnswerWith(failed);  // it is asked in the place of `big`
  AskFor(absl::Milliseconds(25), "big:1", failed);
  EXPECT_THAT(Scrape(), Not(HasSubstr("predicted_latency_seconds_total{")));
  EXPECT_THAT(Scrape(), Not(HasSubstr("measured_joules_total{")));
}

TEST_F(CalibrationMetricsTest, APredictionIsNotComparedWithItself) {
  Begin(absl::StrCat("learning: OFF\n", kTwoExperts));
  EXPECT_EQ(AskFor(absl::Milliseconds(5), "big:1", MakeReply(1, 0.9f, std::nullopt)),
            absl::StatusCode::kOk);
  EXPECT_EQ(*OfBig("measured_latency_seconds_total"), 0.005);
  EXPECT_FALSE(OfBig("predicted_joules_total").has_value());
  EXPECT_THAT(Scrape(), Not(HasSubstr("measured_joules_total{")));
}

TEST_F(CalibrationMetricsTest, WithoutAPredictionThereIsNothingToCompare) {
  Replica("big:1").facts->description.reset();
  Replica("small:1").facts->description.reset();
  Begin(absl::StrCat("learning: OFF\n", kTwoExperts));
  EXPECT_EQ(AskFor(absl::Milliseconds(5), "big:1", MakeReply(1, 0.9f, 2)), absl::StatusCode::kOk);
  EXPECT_THAT(Scrape(), Not(HasSubstr("latency_promises_total{")));
  EXPECT_THAT(Scrape(), Not(HasSubstr("measured_joules_total{")));
}

TEST_F(CalibrationMetricsTest, ExpertsBeyondWhatIsToldAreCountedTogether) {
  Begin(absl::StrCat("learning: OFF\n", kTwoExperts));
  for (size_t i = 0; i < PoolLabels::kMostExperts; ++i) {
    ASSERT_TRUE(labels_.Admit("elsewhere", absl::StrCat("expert", i)));
  }
  AskFor(absl::Milliseconds(5), "big:1", MakeReply(1, 0.9f, 2));
  AskFor(absl::Milliseconds(5), "big:1", MakeReply(1, 0.9f, 2));
  EXPECT_DOUBLE_EQ(*Value(R"(measured_latency_seconds_total{expert="other",pool="pool"})"), 0.010);
  EXPECT_EQ(*Value(R"(dispatches_total{expert="other",pool="pool",reason="chosen"})"), 2);
  EXPECT_FALSE(OfBig("measured_latency_seconds_total").has_value());
}

}  // namespace
}  // namespace penstock::router
