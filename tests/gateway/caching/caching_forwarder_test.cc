#include "gateway/caching/caching_forwarder.h"

#include <string>
#include <vector>

#include "common/tensors/tensor.h"
#include "gmock/gmock.h"
#include "tests/gateway/caching/caching_fixture.h"

namespace penstock::gateway {
namespace {

using Source = CacheObserver::Source;
using Outcome = CacheObserver::Outcome;

class CachingForwarderTest : public CachingTest {
 protected:
  void Fill(const InferRequest& request, InferReply reply, const AskOptions& how = {}) {
    Ask(request, how);
    Run(runs() - 1)->Reply(std::move(reply));
  }
};

TEST_F(CachingForwarderTest, AnEqualRequestIsAnsweredWithoutARun) {
  Fill(RequestOf({1, 2}, "first"), AnswerOf(5));
  const auto again = Ask(RequestOf({1, 2}, "second"));
  EXPECT_EQ(runs(), 1u);
  const ReadReply read = Read(*again);
  EXPECT_EQ(read.y, 5);
  EXPECT_EQ(read.id, "second");
  EXPECT_EQ(read.Text("penstock_cache"), "hit");
  EXPECT_EQ(read.Text("penstock_experts"), "small");
  EXPECT_EQ(read.Text("from_the_expert"), "kept");
  EXPECT_EQ(events_.sources[Source::kLocal], 1);
}

TEST_F(CachingForwarderTest, AHitTookNoJoulesAndNoTimeOfARouter) {
  Fill(RequestOf({1}), AnswerOf(5, {{"penstock_predicted_latency_ms", 8.0}}));
  const ReadReply read = Read(*Ask(RequestOf({1})));
  EXPECT_EQ(read.Number("penstock_energy_j"), 0.0);
  EXPECT_EQ(read.Text("penstock_energy_method"), "cached");
  EXPECT_FALSE(read.Number("penstock_latency_ms").has_value());
  EXPECT_FALSE(read.Number("penstock_predicted_latency_ms").has_value());
}

TEST_F(CachingForwarderTest, TheOneThatRanGetsItsOwnFigures) {
  const auto first = Ask(RequestOf({1}, "mine"));
  Run(0)->Reply(AnswerOf(5));
  const ReadReply read = Read(*first);
  EXPECT_EQ(read.Number("penstock_energy_j"), 3.5);
  EXPECT_EQ(read.Text("penstock_cache"), "miss");
  EXPECT_EQ(read.id, "mine");
}

TEST_F(CachingForwarderTest, NothingOfTheFirstCallerStandsInWhatOthersGet) {
  Fill(RequestOf({1}, "a-secret-id"), AnswerOf(5));
  EXPECT_EQ(ScanInferRequest(Run(0)->request())->id, "");
  const auto again = Ask(RequestOf({1}));
  EXPECT_EQ(again->reply->body.ToString().find("a-secret-id"), std::string::npos);
  EXPECT_EQ(Read(*again).id, "");
}

TEST_F(CachingForwarderTest, PoolsThatAreNotCacheableAreForwardedAsTheyAre) {
  const Bytes message = EncodeInferRequest(RequestOf({1}, "id"));
  const auto asked = Ask(message, {}, "other");
  EXPECT_TRUE(Run(0)->request() == message);
  const InferReply reply = AnswerOf(5);
  Run(0)->Reply(reply);
  EXPECT_TRUE(asked->reply->body == reply.body);
  Ask(message, {}, "other");
  EXPECT_EQ(runs(), 2u);
}

TEST_F(CachingForwarderTest, AnotherTenantsAnswerIsNotServed) {
  Fill(RequestOf({1}), AnswerOf(5), {.tenant = "a"});
  const auto other = Ask(RequestOf({1}), {.tenant = "b"});
  EXPECT_EQ(runs(), 2u);
  EXPECT_FALSE(other->reply.has_value());
}

TEST_F(CachingForwarderTest, AnotherTenantsAnswerIsServedWhereThePoolShares) {
  SetPolicy({.version = "v1",
             .ttl = absl::Seconds(60),
             .share_between_tenants = true,
             .max_entry_bytes = 1 << 20});
  Fill(RequestOf({1}), AnswerOf(5), {.tenant = "a"});
  EXPECT_EQ(Read(*Ask(RequestOf({1}), {.tenant = "b"})).y, 5);
  EXPECT_EQ(runs(), 1u);
}

TEST_F(CachingForwarderTest, WhoMayNotNameExpertsIsNotServedWhatSomebodyWhoMayGot) {
  InferRequest request = RequestOf({1});
  request.parameters.push_back({"penstock_experts", std::string("large")});
  Fill(request, AnswerOf(5), {.may_force_experts = true});
  const auto other = Ask(request);
  ASSERT_EQ(runs(), 2u);
  Run(1)->Reply(absl::PermissionDeniedError("may not name experts"));
  EXPECT_TRUE(absl::IsPermissionDenied(other->reply->status));
}

// With every digest alike only the keys tell requests apart.
CacheDigest OneForAll(absl::string_view, const Bytes&) { return {}; }

TEST_F(CachingForwarderTest, CollidingDigestsReturnNoWrongAnswer) {
  Build(1 << 20, &OneForAll);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) {
      const float value = static_cast<float>(i);
      const size_t before = runs();
      const auto asked = Ask(RequestOf({value, -1}));
      if (runs() > before) Run(before)->Reply(AnswerOf(value));
      EXPECT_EQ(Read(*asked).y, value);
    }
  }
  // The latest of a digest is kept, and found.
  const size_t before = runs();
  EXPECT_EQ(Read(*Ask(RequestOf({19, -1}))).y, 19);
  EXPECT_EQ(runs(), before);
}

TEST_F(CachingForwarderTest, CollidingDigestsShareNoFlight) {
  Build(1 << 20, &OneForAll);
  const auto one = Ask(RequestOf({1}));
  const auto two = Ask(RequestOf({2}));
  const auto one_again = Ask(RequestOf({1}));
  ASSERT_EQ(runs(), 2u);
  Run(1)->Reply(AnswerOf(2));
  Run(0)->Reply(AnswerOf(1));
  EXPECT_EQ(Read(*one).y, 1);
  EXPECT_EQ(Read(*two).y, 2);
  EXPECT_EQ(Read(*one_again).y, 1);
}

TEST_F(CachingForwarderTest, AnAnswersTimeEnds) {
  SetPolicy({.version = "v1", .ttl = absl::Seconds(10), .max_entry_bytes = 1 << 20});
  Fill(RequestOf({1}), AnswerOf(5));
  clock_.Advance(absl::Seconds(10) - absl::Nanoseconds(1));
  EXPECT_EQ(Read(*Ask(RequestOf({1}))).y, 5);
  clock_.Advance(absl::Nanoseconds(1));
  Ask(RequestOf({1}));
  EXPECT_EQ(runs(), 2u);
}

TEST_F(CachingForwarderTest, AnotherVersionEndsWhatWasKept) {
  Fill(RequestOf({1}), AnswerOf(5));
  SetPolicy({.version = "v2", .ttl = absl::Seconds(60), .max_entry_bytes = 1 << 20});
  Ask(RequestOf({1}));
  EXPECT_EQ(runs(), 2u);
}

TEST_F(CachingForwarderTest, AnAnswerOfAnotherVersionIsNotKeptAndTheGatewayAsksForTheNewOne) {
  int asked = 0;
  policies_.OnOutdated([&asked] { ++asked; });
  const auto first = Ask(RequestOf({1}));
  Run(0)->Reply(AnswerOf(5, {}, "v2"));
  EXPECT_EQ(Read(*first).y, 5);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(events_.outcomes[Outcome::kOutdated], 1);
  Ask(RequestOf({1}));
  EXPECT_EQ(runs(), 2u);
}

TEST_F(CachingForwarderTest, ErrorsAreNotKept) {
  Fill(RequestOf({1}), {absl::InternalError("expert failed"), {}, {}});
  Ask(RequestOf({1}));
  EXPECT_EQ(runs(), 2u);
  EXPECT_EQ(events_.outcomes[Outcome::kFailed], 1);
}

TEST_F(CachingForwarderTest, DegradedAnswersAreNotKept) {
  const auto first = Ask(RequestOf({1}));
  Run(0)->Reply(AnswerOf(5, {{"penstock_degraded", std::string("budget")}}));
  EXPECT_EQ(Read(*first).Text("penstock_degraded"), "budget");
  Ask(RequestOf({1}));
  EXPECT_EQ(runs(), 2u);
  EXPECT_EQ(events_.outcomes[Outcome::kDegraded], 1);
}

TEST_F(CachingForwarderTest, WhatIsTooLargeForThePoolIsNotKept) {
  SetPolicy({.version = "v1", .ttl = absl::Seconds(60), .max_entry_bytes = 600});
  // 400 bytes of input; with the answer more than 600.
  Fill(RequestOf(std::vector<float>(100, 1)), AnswerOf(5));
  Ask(RequestOf(std::vector<float>(100, 1)));
  EXPECT_EQ(runs(), 2u);
  EXPECT_EQ(events_.outcomes[Outcome::kTooLarge], 1);
  // 1,600 bytes of input: not even looked for.
  const auto large = Ask(RequestOf(std::vector<float>(400, 1)));
  Run(2)->Reply(AnswerOf(6));
  EXPECT_EQ(Read(*large).Text("penstock_cache"), "bypass");
}

TEST_F(CachingForwarderTest, BypassNeitherLooksNorKeeps) {
  InferRequest bypass = RequestOf({1}, "id");
  bypass.parameters.push_back({"penstock_cache", std::string("bypass")});
  const auto asked = Ask(bypass);
  Run(0)->Reply(AnswerOf(5));
  EXPECT_EQ(Read(*asked).Text("penstock_cache"), "bypass");
  EXPECT_EQ(Read(*asked).Number("penstock_energy_j"), 3.5);
  Fill(RequestOf({1}), AnswerOf(6));
  EXPECT_EQ(runs(), 2u);
  Ask(bypass);
  EXPECT_EQ(runs(), 3u);
  EXPECT_EQ(events_.sources[Source::kBypass], 2);
}

TEST_F(CachingForwarderTest, UseIsTheSameAsNothing) {
  Fill(RequestOf({1}), AnswerOf(5));
  InferRequest use = RequestOf({1});
  use.parameters.push_back({"penstock_cache", std::string("use")});
  EXPECT_EQ(Read(*Ask(use)).y, 5);
  EXPECT_EQ(runs(), 1u);
}

TEST_F(CachingForwarderTest, AWordThatMeansNothingIsTheRoutersToRefuse) {
  Fill(RequestOf({1}), AnswerOf(5));
  InferRequest wrong = RequestOf({1});
  wrong.parameters.push_back({"penstock_cache", std::string("bypas")});
  const auto asked = Ask(wrong);
  ASSERT_EQ(runs(), 2u);
  Run(1)->Reply(absl::InvalidArgumentError("penstock_cache"));
  EXPECT_TRUE(absl::IsInvalidArgument(asked->reply->status));
}

TEST_F(CachingForwarderTest, AnExplanationIsOfARunAndItsAnswerIsKeptWithoutIt) {
  Fill(RequestOf({1}), AnswerOf(4));
  InferRequest explain = RequestOf({1}, "why");
  explain.parameters.push_back({"penstock_explain", true});
  const auto asked = Ask(explain);
  ASSERT_EQ(runs(), 2u);
  Run(1)->Reply(AnswerOf(5, {{"penstock_decision", std::string("{}")}}));
  EXPECT_EQ(Read(*asked).Text("penstock_decision"), "{}");
  EXPECT_EQ(Read(*asked).id, "why");
  const ReadReply kept = Read(*Ask(RequestOf({1})));
  EXPECT_EQ(kept.y, 5);
  EXPECT_EQ(kept.Text("penstock_decision"), "");
  EXPECT_EQ(runs(), 2u);
}

TEST_F(CachingForwarderTest, MessagesOfStreamsAreAlwaysRun) {
  Fill(RequestOf({1}), AnswerOf(5));
  const auto asked = Ask(RequestOf({1}), {.streamed = true});
  ASSERT_EQ(runs(), 2u);
  Run(1)->Reply(AnswerOf(6));
  EXPECT_EQ(Read(*asked).y, 6);
  EXPECT_EQ(Read(*asked).Text("penstock_cache"), "bypass");
  EXPECT_EQ(Read(*Ask(RequestOf({1}))).y, 5);
}

TEST_F(CachingForwarderTest, BytesThatDoNotParseAreTheRoutersToRefuse) {
  InferRequest request = RequestOf({1});
  request.inputs[0].shape = {1, 3};  // more than its bytes hold
  const auto asked = Ask(request);
  Run(0)->Reply(absl::InvalidArgumentError("shape"));
  EXPECT_TRUE(absl::IsInvalidArgument(asked->reply->status));
}

TEST_F(CachingForwarderTest, TheBytesThatAreHeldStayWithinTheirBound) {
  const size_t bound = 10'000;
  Build(bound);
  for (int i = 0; i < 100; ++i) {
    Fill(RequestOf({static_cast<float>(i)}), AnswerOf(5));
    EXPECT_LE(events_.held_bytes, bound);
  }
  EXPECT_GT(events_.held_entries, 1u);
  EXPECT_EQ(events_.evicted, 100 - events_.held_entries);
  const size_t before = runs();
  Ask(RequestOf({99}));
  EXPECT_EQ(runs(), before);
  Ask(RequestOf({0}));
  EXPECT_EQ(runs(), before + 1);
}

}  // namespace
}  // namespace penstock::gateway
