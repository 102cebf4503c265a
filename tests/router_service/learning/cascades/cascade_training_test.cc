#include "router_service/learning/cascades/cascade_training.h"

#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/gating/count_gate.h"
#include "router_service/gating/gate.h"
#include "router_service/learning/trainer.h"
#include "router_service/quality/cascade_quality.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// small is right as often as it says, and where z > 0; large nearly always, at ten times the
// joules.
std::string Outcomes(const std::string& name) {
  const std::string path = ProcessTempDir() + name;
  std::ofstream out(path);
  for (int i = 0; i < 1200; ++i) {
    CounterRandom random(31, static_cast<uint64_t>(i));
    const double z = 2 * random.Uniform() - 1;
    const double p = z > 0 ? 0.97 : 0.75;
    const int small = random.Uniform() < p, large = random.Uniform() < 0.98;
    out << absl::StrCat(
        R"({"id": )", i, R"(, "features": [)", z, R"(], "experts": {"small": {"quality": )", small,
        R"(, "joules": 1, "answer": )", small ? 1 : 2, R"(, "confidence": [)", p, ", ", 1 - p,
        R"(]}, "large": {"quality": )", large, R"(, "joules": 10, "answer": )", large ? 1 : 3,
        R"(, "confidence": [0.98, 0.02]}}})", "\n");
  }
  return path;
}

TrainOptions Options(const std::string& folder) {
  static const std::string outcomes = Outcomes("cascade_training.jsonl");
  TrainOptions options;
  options.outcomes_file = outcomes;
  options.output_folder = ProcessTempDir() + folder;
  options.date = "2026-11-29";
  return options;
}

TEST(TrainCascades, WritesAPolicyThatTheRouterLoads) {
  TrainOptions options = Options("automix");
  options.cascade = {"small", "large"};
  options.cascade_policy = "automix";
  const auto report = Train(options);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_TRUE(report->cascade_policy.has_value());
  EXPECT_EQ(report->cascade_policy->policy, "automix");
  EXPECT_GT(report->cascade_policy->rows, 150u);
  EXPECT_GT(report->cascade_policy->served.quality, report->cascade_policy->first.quality + 0.05);
  EXPECT_LT(report->cascade_policy->served.mean_cost.value(), 10);
  EXPECT_THAT(FormatTrainReport(*report), HasSubstr("cascade small -> large by automix"));
  const auto cascade =
      CascadeQuality::Open(options.output_folder + "/cascade.safetensors", {"large", "small"});
  ASSERT_TRUE(cascade.ok()) << cascade.status();
  EXPECT_EQ((*cascade)->begins_with(), 1u);
  ASSERT_NE((*cascade)->PolicyOf(1), nullptr);
  EXPECT_THAT((*cascade)->PolicyOf(1)->After(1), ElementsAre(0));
}

TEST(TrainCascades, WritesWhatAVerifierSays) {
  TrainOptions options = Options("verifier");
  options.verifier = "large";
  options.price = 0.01;
  const auto report = Train(options);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_TRUE(report->slow_check.has_value());
  EXPECT_EQ(report->slow_check->first, "small");
  EXPECT_EQ(report->slow_check->points.front().checked, 0);
  const auto cascade =
      CascadeQuality::Open(options.output_folder + "/cascade.safetensors", {"small", "large"});
  ASSERT_TRUE(cascade.ok()) << cascade.status();
  ASSERT_NE((*cascade)->slow(), nullptr);
  EXPECT_EQ((*cascade)->slow()->verifier(), 1u);
  EXPECT_TRUE((*cascade)->slow()->Knows(0));
  EXPECT_FALSE((*cascade)->begins_with().has_value());
}

TEST(TrainCascades, WritesHowManyExpertsARequestAsksFor) {
  TrainOptions options = Options("count");
  options.count = CountOptions();
  const auto report = Train(options);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_TRUE(report->count.has_value());
  EXPECT_EQ(report->count->fixed.size(), 2u);
  const auto gate = CountGate::Open(options.output_folder + "/count.safetensors", 1);
  ASSERT_TRUE(gate.ok()) << gate.status();
  EXPECT_EQ((*gate)->most(), 2u);
}

TEST(TrainCascades, UtilityLabelsMoveTheGateToTheCheaperExpert) {
  const auto preferred = [](GateLabels labels, double price) {
    TrainOptions options = Options(absl::StrCat("labels", price));
    options.labels = labels;
    options.price = price;
    const auto report = Train(options);
    EXPECT_TRUE(report.ok()) << report.status();
    config::v1::Gate config;
    config.mutable_topk_softmax()->set_file(options.output_folder + "/gate.safetensors");
    const auto gate = MakeGate(config, {"small", "large"}, 1);
    EXPECT_TRUE(gate.ok()) << gate.status();
    std::vector<float> logits(2);
    CounterRandom random(1, 1);
    (*gate)->Score({-0.9f}, {}, random, absl::MakeSpan(logits));
    return logits[0] > logits[1] ? "small" : "large";
  };
  // Small is right with .75 there, large with .98 at ten times the joules.
  EXPECT_STREQ(preferred(GateLabels::kUtility, 0), "small");  // of equals the cheaper
  EXPECT_STREQ(preferred(GateLabels::kUtility, 1), "small");
  EXPECT_STREQ(preferred(GateLabels::kShared, 0), "large");
}

std::string Refused(const std::function<void(TrainOptions&)>& change) {
  TrainOptions options = Options("refused");
  change(options);
  return std::string(Train(options).status().message());
}

TEST(CheckCascade, SaysWhatDoesNotGoTogether) {
  EXPECT_THAT(Refused([](TrainOptions& o) { o.cascade_policy = "magic"; }),
              HasSubstr("wanted one of automix, jei, bypass"));
  EXPECT_THAT(Refused([](TrainOptions& o) { o.cascade_policy = "jei"; }),
              HasSubstr("cascade is not set"));
  EXPECT_THAT(Refused([](TrainOptions& o) {
                o.cascade_policy = "bypass";
                o.cascade = {"small", "large"};
              }),
              HasSubstr("wants a risk"));
  EXPECT_THAT(Refused([](TrainOptions& o) {
                o.cascade_policy = "automix";
                o.cascade = {"small", "large"};
                o.risk = 0.1;
              }),
              HasSubstr("states no risk"));
  EXPECT_THAT(Refused([](TrainOptions& o) { o.verifier = "huge"; }), HasSubstr("none of"));
  EXPECT_THAT(Refused([](TrainOptions& o) {
                o.verifier = "large";
                o.cascade = {"small", "large"};
                o.risk = 0.1;
              }),
              HasSubstr("no second opinion"));
  EXPECT_THAT(Refused([](TrainOptions& o) {
                o.cascade = {"small", "large"};
              }),
              HasSubstr("risk is not"));
}

}  // namespace
}  // namespace penstock::router
