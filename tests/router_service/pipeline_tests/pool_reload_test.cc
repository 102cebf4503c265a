#include <cmath>
#include <filesystem>

#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

// Pools of another configuration in the place of those that serve.
class PoolReloadTest : public RouterFixture {
 protected:
  absl::StatusOr<std::unique_ptr<StagedPools>> Stage(const std::string& yaml) {
    config::v1::Router next;
    EXPECT_THAT(ReadYaml(yaml, next), IsOk());
    return catalogue_->Stage(next, absl::ZeroDuration(), give_up_);
  }
  // Why it is not taken; empty: it is.
  std::string Refusal(const std::string& yaml) {
    return std::string(Stage(yaml).status().message());
  }
  // -> what it changed.
  std::vector<std::pair<std::string, std::string>> Reload(const std::string& yaml) {
    auto staged = Stage(yaml);
    EXPECT_THAT(staged.status(), IsOk());
    if (!staged.ok()) return {};
    auto changes = (*staged)->changes();
    catalogue_->Commit(*std::move(staged));
    return changes;
  }
  // Files that say how often each expert is right, whatever the request.
  void WriteQuality(float small, float big) {
    const auto logit = [](float p) { return std::log(p / (1 - p)); };
    const std::string written = dir_.File("quality.new");
    EXPECT_THAT(WriteSafetensors(written,
                                 {{"weight", {2, 4}, std::vector<float>(8, 0.0f)},
                                  {"bias", {2}, {logit(small), logit(big)}},
                                  {"mean", {2}, {small, big}}},
                                 {{"experts", R"(["small","big"])"}}),
                IsOk());
    std::filesystem::rename(written, dir_.File("quality"));
  }
  std::string WithQuality() const {
    return absl::StrCat(kTwoExperts, "  features: {tensor_pooling: {input: x}}\n  quality_file: ",
                        dir_.File("quality"), "\n");
  }
  // Requests that `expert` answers in `latency`.
  void Teach(const std::string& address, const std::string& expert, absl::Duration latency) {
    for (int i = 0; i < 50; ++i) {
      const size_t calls = Target(address).calls().size();
      auto call = Send(MakeRequest(1, {{"penstock_experts", expert}}), absl::InfiniteDuration(),
                       ForcedRights());
      clock_.Advance(latency);
      Target(address).WaitForCall(calls)->Reply(MakeReply(1, 0.9f, 0.5));
      EXPECT_THAT(call->WaitForReply().status, IsOk());
    }
  }
  double Latency(const std::string& expert) const {
    const auto pool = catalogue_->Find("pool");
    return pool->record->cost.Estimate(*pool->FindExpert(expert), 0, 1, {}).expected_latency_s;
  }

  Notification give_up_;
};

TEST_F(PoolReloadTest, APoolThatIsAsItWasStaysAsItIs) {
  Build(kTwoExperts);
  const auto before = catalogue_->Find("pool");
  EXPECT_THAT(Reload(kTwoExperts), IsEmpty());
  EXPECT_EQ(catalogue_->Find("pool"), before);
}

TEST_F(PoolReloadTest, AddsAndRemovesPools) {
  Build(kTwoExperts);
  const std::string other =
      "- {name: other, experts: [{name: big, replicas: [{address: 'big:1'}]}]}\n";
  EXPECT_THAT(Reload(absl::StrCat(kTwoExperts, other)), ElementsAre(Pair("other", "added")));
  InferRequest request = MakeRequest();
  request.model_name = "other";
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  EXPECT_THAT(Ask(request).status, IsOk());
  EXPECT_THAT(Reload("pools:\n" + other), ElementsAre(Pair("pool", "removed")));
  EXPECT_THAT(Ask(request).status, IsOk());
  EXPECT_THAT(Ask(MakeRequest()).status, StatusIs(StatusCode::kNotFound, HasSubstr("pool")));
  EXPECT_EQ(catalogue_->All().size(), 1u);
}

TEST_F(PoolReloadTest, ARequestUnderWayEndsWithThePoolThatItBeganWith) {
  Build(kTwoExperts);
  auto call = Send(MakeRequest());
  const auto asked = Target("big:1").WaitForCall(0);
  ASSERT_NE(asked, nullptr);
  Reload("pools: [{name: other, experts: [{name: small, replicas: [{address: 'small:1'}]}]}]");
  EXPECT_TRUE(asked->Reply(MakeReply(1, 0.9f, 0.1)));
  const InferReply reply = call->WaitForReply();
  EXPECT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "big");
}

TEST_F(PoolReloadTest, ExpertsThatStayKeepReplicasAndWhatTheyCost) {
  Build(kTwoExperts);
  Teach("small:1", "small", absl::Milliseconds(40));
  const double learnt = Latency("small");
  EXPECT_NEAR(learnt, 0.040, 0.01);
  const auto before = catalogue_->Find("pool");
  Reload(R"(
pools:
- name: pool
  experts:
  - {name: third, quality: 0.9, replicas: [{address: "big:2"}]}
  - {name: small, quality: 0.7, replicas: [{address: "small:2"}, {address: "small:1"}]}
)");
  const auto after = catalogue_->Find("pool");
  EXPECT_NE(after->record, before->record);
  EXPECT_EQ(after->experts[1].replicas[1], before->experts[0].replicas[0]);
  EXPECT_TRUE(after->experts[0].admitted);
  EXPECT_DOUBLE_EQ(Latency("small"), learnt);
  const PoolStatistics::Totals totals = after->record->statistics.totals();
  EXPECT_EQ(totals.successes, 50u);
  EXPECT_EQ(totals.experts[0].dispatches, 0u);
  EXPECT_EQ(totals.experts[1].dispatches, 50u);
}

TEST_F(PoolReloadTest, CostsAreKeptWhereMarginsStartAgain) {
  Build(kTwoExperts);
  Teach("small:1", "small", absl::Milliseconds(40));
  const double learnt = Latency("small");
  Reload(absl::StrCat(kTwoExperts, "  selection: {latency_quantile: 0.5}\n"));
  EXPECT_NEAR(Latency("small"), learnt, 1e-9);
}

TEST_F(PoolReloadTest, AnExpertThatMovesLeavesAloneWhatIsLearntOfIt) {
  Build(kTwoExperts);
  Teach("small:1", "small", absl::Milliseconds(40));
  const double learnt = Latency("small");
  const auto at = [](const std::string& address) {
    return absl::StrCat(R"(
pools:
- name: pool
  experts:
  - {name: small, quality: 0.8, replicas: [{address: ")",
                        address, R"("}]}
  - {name: big, quality: 0.95, replicas: [{address: "big:1"}]}
)");
  };
  {
    const auto staged = Stage(at("small:2"));
    ASSERT_THAT(staged.status(), IsOk());
    ASSERT_EQ(Replica("small:2").asked_models.size(), 1u);
    EXPECT_DOUBLE_EQ(Latency("small"), learnt);
  }  // not taken
  EXPECT_DOUBLE_EQ(Latency("small"), learnt);
  Reload(at("small:2"));
  EXPECT_DOUBLE_EQ(Latency("small"), learnt);
  // With a record of its own, too.
  Reload(absl::StrCat(at("small:1"), "  selection: {latency_quantile: 0.5}\n"));
  EXPECT_NEAR(Latency("small"), learnt, 1e-9);
}

TEST_F(PoolReloadTest, WhatIsCountedUntilTheCommitStaysCounted) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  auto staged = Stage(absl::StrCat(kTwoExperts, "  selection: {latency_quantile: 0.5}\n"));
  ASSERT_THAT(staged.status(), IsOk());
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  const auto before = catalogue_->Find("pool");
  catalogue_->Commit(*std::move(staged));
  const auto after = catalogue_->Find("pool");
  ASSERT_NE(after->record, before->record);
  const PoolStatistics::Totals totals = after->record->statistics.totals();
  EXPECT_EQ(totals.successes, 2u);
  EXPECT_EQ(totals.experts[1].dispatches, 2u);
}

TEST_F(PoolReloadTest, IdleWattsStayKnownWhereTheEndpointThatToldThemLeaves) {
  for (const char* replica : {"small:1", "small:2"}) Replica(replica).facts->idle_watts = 10;
  const auto with = [](const std::string& replicas) {
    return absl::StrCat("pools: [{name: pool, experts: [{name: small, replicas: [", replicas,
                        "]}]}]\n");
  };
  Build(with("{address: 'small:1'}, {address: 'small:2'}"));
  std::map<std::string, double> watts;
  catalogue_->SetIdleWattsHandler(
      [&](absl::string_view pool, double w) { watts[std::string(pool)] = w; });
  Reload(with("{address: 'small:2'}"));
  EXPECT_EQ(watts["pool"], 10);
  EXPECT_EQ(watts[""], 10);
}

TEST_F(PoolReloadTest, KeepsTheWholeRecordWhereOnlyFilesAndLimitsChange) {
  WriteQuality(0.9f, 0.1f);
  Build(WithQuality());
  const auto before = catalogue_->Find("pool");
  EXPECT_THAT(Reload(WithQuality() + "  max_in_flight: 7\n"), ElementsAre(Pair("pool", "changed")));
  const auto after = catalogue_->Find("pool");
  EXPECT_NE(after, before);
  EXPECT_EQ(after->record, before->record);
  EXPECT_EQ(after->config.max_in_flight(), 7u);
}

TEST_F(PoolReloadTest, AFileThatChangedUnderItsNameIsAChange) {
  WriteQuality(0.9f, 0.1f);
  Build(WithQuality());
  Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  EXPECT_EQ(Text(Ask(MakeRequest()), "penstock_experts"), "small");
  WriteQuality(0.2f, 0.95f);
  EXPECT_THAT(Reload(WithQuality()), ElementsAre(Pair("pool", "changed")));
  EXPECT_EQ(Text(Ask(MakeRequest()), "penstock_experts"), "big");
}

TEST_F(PoolReloadTest, RefusesFilesThatAreMissingDamagedOrCutOff) {
  WriteQuality(0.9f, 0.1f);
  Build(WithQuality());
  const auto before = catalogue_->Find("pool");
  const std::string whole = dir_.Read("quality");
  for (const std::string& text :
       {whole.substr(0, whole.size() - 5), std::string("{}"), std::string()}) {
    dir_.Write("quality", text);
    EXPECT_THAT(Refusal(WithQuality()), HasSubstr("quality_file"));
  }
  std::filesystem::remove(dir_.File("quality"));
  EXPECT_THAT(Refusal(WithQuality()), HasSubstr("quality_file"));
  // Of a pool that nobody has told the contract of, too.
  EXPECT_THAT(Refusal(absl::StrCat(kTwoExperts, R"(
- name: other
  quality_file: none
  features: {tensor_pooling: {input: x}}
  experts: [{name: small, replicas: [{address: "nobody:1"}]}]
)")),
              HasSubstr("quality_file"));
  EXPECT_EQ(catalogue_->Find("pool"), before);
  EXPECT_EQ(catalogue_->Find("other"), nullptr);
}

TEST_F(PoolReloadTest, RefusesWhatStartRefuses) {
  Build(kTwoExperts);
  EXPECT_THAT(Stage("seed: 1").status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("pools")));
  EXPECT_THAT(Stage(absl::StrCat(kTwoExperts, "  selection: {max_experts: 3}\n")).status(),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("pools[0].selection.max_experts: wanted 1 to 2, got 3")));
}

TEST_F(PoolReloadTest, RefusesAPoolThatAnswersAndWouldNot) {
  Build(kTwoExperts);
  const auto before = catalogue_->Find("pool");
  const std::string moved = R"(
pools:
- name: pool
  experts: [{name: small, quality: 0.8, replicas: [{address: "nobody:1"}]}]
)";
  EXPECT_THAT(Stage(moved).status(), StatusIs(StatusCode::kUnavailable, HasSubstr("not there")));
  EXPECT_EQ(catalogue_->Find("pool"), before);
  // What was dropped does not go on asking.
  const size_t asked = Replica("nobody:1").asked_models.size();
  EXPECT_GE(asked, 1u);
  timers_.AdvanceAndRun(absl::Seconds(10));
  EXPECT_EQ(Replica("nobody:1").asked_models.size(), asked);
  Replica("nobody:1").facts = ModelFacts(0.001, 0.1);
  EXPECT_THAT(Reload(moved), ElementsAre(Pair("pool", "changed")));
  EXPECT_TRUE(catalogue_->Find("pool")->ready());
}

TEST_F(PoolReloadTest, APromotionOutlivesReloadsThatDoNotTouchItsPool) {
  WriteQuality(0.9f, 0.1f);
  std::filesystem::copy(dir_.File("quality"), dir_.File("shadow"));
  WriteQuality(0.2f, 0.95f);
  const std::string yaml =
      absl::StrCat(WithQuality(), "  shadow: {quality_file: ", dir_.File("shadow"), "}\n");
  Build(yaml);
  ASSERT_THAT(catalogue_->Promote("pool", "", PromotedBy::kCommand).status(), IsOk());
  const auto promoted = catalogue_->Find("pool");
  Reload(absl::StrCat(yaml,
                      "- {name: other, experts: [{name: big, replicas: [{address: 'big:1'}]}]}\n"));
  EXPECT_EQ(catalogue_->Find("pool"), promoted);
}

TEST_F(PoolReloadTest, ReplicasOfANameJoinAndLeave) {
  Mutex mutex;
  std::vector<std::string> addresses = {"small:1"};
  EndpointNames names(
      [&](const std::string&, const std::string&) {
        MutexLock lock(mutex);
        return addresses;
      },
      absl::Milliseconds(5));
  config::v1::Router config;
  ASSERT_THAT(ReadYaml(R"(
pools:
- name: pool
  experts: [{name: small, replicas: [{address: "dns:///small:1"}, {address: "big:2"}]}]
)",
                       config),
              IsOk());
  Replica("big:2").facts = ModelFacts(0.001, 0.1);
  const auto catalogue = PoolCatalogue::Create(config, false, timers_, clock_, connector_, &names);
  ASSERT_THAT(catalogue.status(), IsOk());
  PoolCatalogue& pools = **catalogue;
  const auto replicas = [&] { return pools.Find("pool")->experts[0].replicas; };
  ASSERT_EQ(replicas().size(), 1u);
  pools.Start();
  Mutex round_mutex;
  CondVar round;
  names.Start([&] {
    pools.RefreshNames();
    MutexLock lock(round_mutex);
    round.NotifyAll();
  });
  const auto wait_for = [&](size_t count) {
    MutexLock lock(round_mutex);
    for (int i = 0; i < 30 && replicas().size() != count; ++i) {
      round.WaitFor(round_mutex, absl::Seconds(1));
    }
    return replicas().size() == count;
  };
  ASSERT_TRUE(wait_for(2));
  const auto first = replicas()[0];
  EXPECT_EQ(first->address(), "small:1");
  {
    MutexLock lock(mutex);
    addresses = {"small:1", "small:2"};
  }
  ASSERT_TRUE(wait_for(3));
  EXPECT_EQ(replicas()[0], first);
  EXPECT_EQ(replicas()[1]->address(), "small:2");
  {
    MutexLock lock(mutex);
    addresses = {"small:2"};
  }
  ASSERT_TRUE(wait_for(2));
  EXPECT_EQ(replicas()[0]->address(), "small:2");
  EXPECT_TRUE(pools.ready());
  names.Stop();
  pools.Stop();
}

TEST_F(PoolReloadTest, IdleWattsStayKnownWhereEveryReplicaOfANameIsReplaced) {
  Replica("small:1").facts->idle_watts = 10;
  Mutex mutex;
  CondVar round;
  std::vector<std::string> addresses = {"small:1"};
  EndpointNames names(
      [&](const std::string&, const std::string&) {
        MutexLock lock(mutex);
        return addresses;
      },
      absl::Milliseconds(5));
  const std::string yaml =
      "pools:\n- {name: pool, experts: [{name: small, replicas: [{address: 'dns:///small:1'}]}]}\n";
  ASSERT_THAT(ReadYaml(yaml, config_), IsOk());
  auto catalogue = PoolCatalogue::Create(config_, false, timers_, clock_, connector_, &names);
  ASSERT_THAT(catalogue.status(), IsOk());
  catalogue_ = *std::move(catalogue);
  std::map<std::string, double> watts;
  catalogue_->SetIdleWattsHandler(
      [&](absl::string_view pool, double w) { watts[std::string(pool)] = w; });
  catalogue_->Start();
  names.Start([&] {
    catalogue_->RefreshNames();
    MutexLock lock(mutex);
    round.NotifyAll();
  });
  const auto wait_for = [&](const std::string& address) {
    const auto is_there = [&] {
      const auto pool = catalogue_->Find("pool");
      const auto& replicas = pool->experts[0].replicas;
      return replicas.size() == 1 && replicas[0]->address() == address;
    };
    MutexLock lock(mutex);
    for (int i = 0; i < 30 && !is_there(); ++i) round.WaitFor(mutex, absl::Seconds(1));
    return is_there();
  };
  EXPECT_TRUE(wait_for("small:1"));
  timers_.AdvanceAndRun(absl::Seconds(3));
  EXPECT_EQ(watts["pool"], 10);
  {
    MutexLock lock(mutex);
    addresses = {"small:2"};
  }
  EXPECT_TRUE(wait_for("small:2"));
  names.Stop();
  watts.clear();
  Reload(absl::StrCat(yaml,
                      "- {name: other, experts: [{name: big, replicas: [{address: 'big:1'}]}]}\n"));
  EXPECT_EQ(watts[""], 10);
  catalogue_->Stop();
}

TEST_F(PoolReloadTest, RequestsOfBothConfigurationsAreNotAssignedTogether) {
  const std::string window =
      "  selection: {batch_assignment: {utilisation: 0.01, window_ms: 100}}\n";
  Build(absl::StrCat(kTwoExperts, window));
  Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
  Target("small:2").AnswerWith(MakeReply(1, 0.9f, 0.1));
  // Keeps the pool busy, so that those after it wait.
  auto busy = Send(MakeRequest());
  ASSERT_NE(Target("big:1").WaitForCall(0), nullptr);
  auto before = Send(MakeRequest());
  EXPECT_FALSE(before->finished());
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  Reload(absl::StrCat(
      kTwoExperts, "  - {name: third, quality: 0.9, replicas: [{address: 'small:2'}]}\n", window));
  auto after = Send(MakeRequest());
  timers_.AdvanceAndRun(absl::Seconds(1));
  EXPECT_THAT(before->WaitForReply().status, IsOk());
  EXPECT_THAT(after->WaitForReply().status, IsOk());
  Target("big:1").WaitForCall(0)->Reply(MakeReply(1, 0.9f, 1.0));
  EXPECT_THAT(busy->WaitForReply().status, IsOk());
}

}  // namespace
}  // namespace penstock::router
