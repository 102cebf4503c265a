#include <deque>

#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

// Two experts of forty slots each; everybody would take `good`.
constexpr char kExperts[] = R"(
pools:
- name: pool
  experts:
  - {name: good, quality: 0.9, slots: 40, replicas: [{address: "small:1"}]}
  - {name: plain, quality: 0.8, slots: 20, replicas: [{address: "small:2"}, {address: "small:3"}]}
)";

class LoadPricePipeline : public RouterFixture {
 protected:
  void SetUp() override {
    RouterFixture::SetUp();
    Replica("small:3").facts = ModelFacts(0.001, 0.1);
  }

  // Keeps `running` requests in flight; the share of `good` among the last half of the decisions.
  double ShareOfGood(size_t running, size_t requests) {
    size_t good = 0, counted = 0;
    for (size_t i = 0; i < requests; ++i) {
      if (waiting_.size() == running) AnswerOldest();
      std::vector<size_t> before;
      for (const char* address : kAddresses) before.push_back(Target(address).calls().size());
      calls_.push_back(Send(MakeRequest()));
      for (size_t a = 0; a < before.size(); ++a) {
        if (Target(kAddresses[a]).calls().size() == before[a]) continue;
        waiting_.push_back(Target(kAddresses[a]).calls().back());
        if (2 * i < requests) continue;
        ++counted;
        good += a == 0;
      }
    }
    EXPECT_EQ(counted, requests / 2);
    return static_cast<double>(good) / static_cast<double>(counted);
  }
  void AnswerOldest() {
    waiting_.front()->Reply(MakeReply(1, 0.6f, 0.1));
    waiting_.pop_front();
  }
  void TearDown() override {
    while (!waiting_.empty()) AnswerOldest();
    RouterFixture::TearDown();
  }

  static constexpr const char* kAddresses[] = {"small:1", "small:2", "small:3"};
  std::deque<std::shared_ptr<FakeOutgoingCall>> waiting_;
  std::vector<std::shared_ptr<FakeIncomingCall>> calls_;
};

TEST_F(LoadPricePipeline, KeepsTheBestExpertToTheTarget) {
  Build(absl::StrCat(kExperts, "  selection: {max_utilisation: 0.6}\n"));
  const double share = ShareOfGood(40, 1600);
  // 0.6 of its forty slots are 0.6 of the forty requests in flight.
  EXPECT_GT(share, 0.55);
  EXPECT_LT(share, 0.65);
  AnswerOldest();
  const v1::Decision decision = Last();
  ASSERT_EQ(decision.candidates_size(), 2);
  EXPECT_GT(decision.candidates(0).load_price(), decision.candidates(1).load_price());
  EXPECT_NEAR(decision.candidates(0).quality(), 0.9, 1e-6);
}

TEST_F(LoadPricePipeline, WithoutATargetQualityDecidesAlone) {
  Build(kExperts);
  EXPECT_EQ(ShareOfGood(40, 200), 1);
}

TEST_F(LoadPricePipeline, WithoutLearningThereIsNoPrice) {
  Build(absl::StrCat("learning: OFF\n", kExperts, "  selection: {max_utilisation: 0.6}\n"));
  EXPECT_EQ(ShareOfGood(40, 200), 1);
}

TEST_F(LoadPricePipeline, ExplainTellsThePrice) {
  Build(absl::StrCat(kExperts, "  selection: {max_utilisation: 0.6}\n"));
  ShareOfGood(40, 200);
  const auto explained =
      pipeline_->Explain(EncodeInferRequest(MakeRequest()), absl::InfiniteFuture(), {}, {});
  ASSERT_THAT(explained.status(), IsOk());
  EXPECT_GT(explained->candidates(0).load_price(), 0);
}

TEST_F(LoadPricePipeline, SettingsOutOfRangeNameTheField) {
  const auto refuse = [&](const std::string& yaml, const std::string& field) {
    config::v1::Router config;
    ASSERT_THAT(ReadYaml(yaml, config), IsOk());
    const absl::Status status =
        PoolCatalogue::Create(config, false, timers_, clock_, connector_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << yaml;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(field));
  };
  refuse(absl::StrCat(kExperts, "  selection: {max_utilisation: 1.5}\n"), "max_utilisation");
  refuse(absl::StrCat(kExperts, "  granularity: ROW\n  selection: {max_utilisation: 0.5}\n"),
         "max_utilisation");
  refuse(absl::StrCat(kExperts, "  selection: {batch_assignment: {max_requests: 1}}\n"),
         "batch_assignment.max_requests");
  refuse(absl::StrCat(kExperts, "  selection: {batch_assignment: {window_ms: 1000}}\n"),
         "batch_assignment.window_ms");
  std::string many = kExperts;
  for (int i = 0; i < 300; ++i) {
    absl::StrAppend(&many, "  - {name: x", i, ", replicas: [{address: a}]}\n");
  }
  refuse(absl::StrCat(many, "  selection: {batch_assignment: {}}\n"), "max_requests is 256");
  refuse(absl::StrCat(kExperts, "  - {name: x, slots: 0, replicas: [{address: a}]}\n"), "slots");
}

}  // namespace
}  // namespace penstock::router
