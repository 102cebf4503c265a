// Flights that many threads join at once.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/notification.h"
#include "gateway/caching/flights.h"
#include "tests/gateway/caching/caching_fixture.h"

namespace penstock::gateway {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

class SilentObserver final : public CacheObserver {
 public:
  void Answered(absl::string_view, Source) override {}
  void Ran(absl::string_view, Outcome) override {}
  void Holds(size_t, size_t) override {}
  void Evicted(size_t) override {}
  void FlightsOpen(size_t) override {}
  void StoreAnswered(StoreResult) override {}
  void PoliciesRead(bool) override {}
};

class FlightsConcurrencyTest : public CachingTest {
 protected:
  // A key of its own bytes, so that comparing reads them all.
  static CacheKey KeyOf(int number) {
    CacheKey key;
    key.head = "head";
    key.tensors = Bytes(std::string(64 * 1024, static_cast<char>('a' + number)));
    key.digest = Sha256OfKey(key.head, key.tensors);
    return key;
  }
  Flights::Request RequestFor(int number) const {
    Flights::Request request;
    request.pool = "pool";
    request.policy = policies_.Find("pool");
    request.message = EncodeInferRequest(RequestOf({static_cast<float>(number)}));
    request.tenant = "team";
    request.due = absl::InfiniteFuture();
    return request;
  }
  Flights::Deps Deps() { return {answers_, forwarder_, clock_, timers_, observer_}; }
  // Each thread joins a flight of each key, `turns` times; how many were answered OK.
  int JoinFromThreads(Flights& flights, int threads, int turns, int keys) {
    std::atomic<int> answered{0};
    std::vector<std::thread> running;
    for (int thread = 0; thread < threads; ++thread) {
      running.emplace_back([&, thread] {
        for (int i = 0; i < turns * keys; ++i) {
          const int number = (i + thread) % keys;
          flights.Join(KeyOf(number), RequestFor(number), [&](const InferReply& reply) {
            if (reply.status.ok()) ++answered;
          });
        }
      });
    }
    for (std::thread& each : running) each.join();
    for (const auto& call : router_.calls()) call->Reply(AnswerOf(1));
    return answered;
  }

  SilentObserver observer_;
  AnswerCache answers_{64 << 20, {clock_, policies_, observer_, nullptr}};
};

TEST_F(FlightsConcurrencyTest, WhileKeysAreComparedOthersGoOn) {
  Notification comparing, compared;
  Flights::Deps deps = Deps();
  deps.same_key = [&](const CacheKey& a, const CacheKey& b) {
    comparing.Notify();
    EXPECT_TRUE(compared.WaitWithTimeout(kPatience));
    return SameKey(a, b);
  };
  Flights flights(std::move(deps));
  std::atomic<int> answered{0};
  const auto done = [&](const InferReply& reply) { answered += reply.status.ok() ? 1 : 0; };
  flights.Join(KeyOf(1), RequestFor(1), done);
  std::thread other([&] { flights.Join(KeyOf(1), RequestFor(1), done); });
  ASSERT_TRUE(comparing.WaitWithTimeout(kPatience));
  // Another key: its flight begins, is left and lands.
  const auto leaves = flights.Join(KeyOf(2), RequestFor(2), done);
  ASSERT_EQ(runs(), 2u);
  leaves->Cancel();
  EXPECT_TRUE(Run(1)->cancelled());
  flights.Join(KeyOf(3), RequestFor(3), done);
  Run(2)->Reply(AnswerOf(3));
  EXPECT_EQ(answered, 1);
  compared.Notify();
  other.join();
  EXPECT_EQ(runs(), 3u);
  Run(0)->Reply(AnswerOf(1));
  EXPECT_EQ(answered, 3);
}

TEST_F(FlightsConcurrencyTest, AFlightThatLandsWhileItsKeyIsComparedIsFoundInTheCache) {
  Notification comparing, compared;
  Flights::Deps deps = Deps();
  deps.same_key = [&](const CacheKey& a, const CacheKey& b) {
    comparing.Notify();
    EXPECT_TRUE(compared.WaitWithTimeout(kPatience));
    return SameKey(a, b);
  };
  Flights flights(std::move(deps));
  std::atomic<int> answered{0};
  const auto done = [&](const InferReply& reply) { answered += reply.status.ok() ? 1 : 0; };
  flights.Join(KeyOf(1), RequestFor(1), done);
  std::thread other([&] { flights.Join(KeyOf(1), RequestFor(1), done); });
  ASSERT_TRUE(comparing.WaitWithTimeout(kPatience));
  Run(0)->Reply(AnswerOf(1));
  compared.Notify();
  other.join();
  EXPECT_EQ(runs(), 1u);
  EXPECT_EQ(answered, 2);
}

TEST_F(FlightsConcurrencyTest, WhatManyThreadsAskForAtOnceRunsOnce) {
  Flights flights(Deps());
  EXPECT_EQ(JoinFromThreads(flights, 8, 50, 4), 8 * 50 * 4);
  EXPECT_EQ(runs(), 4u);
}

// Flights land while others look for them: what is in neither place would run again.
TEST_F(FlightsConcurrencyTest, LandingFlightsAreMissedByNobody) {
  Flights flights(Deps());
  router_.AnswerWith(AnswerOf(1));
  for (int round = 0; round < 20; ++round) {
    const size_t before = runs();
    EXPECT_EQ(JoinFromThreads(flights, 8, 4, 4), 8 * 4 * 4);
    EXPECT_EQ(runs(), before + 4);
    clock_.Advance(absl::Seconds(61));  // kept answers are over
  }
}

}  // namespace
}  // namespace penstock::gateway
