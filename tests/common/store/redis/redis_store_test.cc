#include "common/store/redis/redis_store.h"

#include <algorithm>
#include <atomic>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "gmock/gmock.h"
#include "tests/common/store/blocking_store.h"
#include "tests/common/store/redis/redis_server.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::Eq;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

constexpr absl::StatusCode kUnavailable = absl::StatusCode::kUnavailable;

class RedisStoreTest : public testing::Test {
 protected:
  std::unique_ptr<Store> Made(const std::string& uri) {
    absl::StatusOr<std::unique_ptr<Store>> store = MakeStore(uri, clock_, /*seed=*/1);
    EXPECT_THAT(store, IsOk());
    return *std::move(store);
  }
  std::unique_ptr<Store> Connected(const std::string& uri) {
    std::unique_ptr<Store> store = Made(uri);
    EXPECT_TRUE(IsUp(*store)) << store->state().last_error.ToString();
    return store;
  }
  static bool IsUp(const Store& store) {
    return Eventually([&] { return store.state().connected; });
  }
  static bool IsDown(const Store& store) {
    return Eventually([&] { return !store.state().connected; });
  }
  int64_t TtlMs(const std::string& key) {
    int64_t ms = 0;
    EXPECT_TRUE(absl::SimpleAtoi(server_.Command({"PTTL", key}), &ms));
    return ms;
  }

  const RealClock clock_;
  RedisServer server_{{.tcp = true}};
};

TEST_F(RedisStoreTest, KeysHaveThePrefixTheLayoutAndTheDatabase) {
  const auto store =
      Connected("redis://127.0.0.1:" + std::to_string(server_.port()) + "/2?prefix=p%3A");
  BlockingStore calls(*store, clock_);
  ASSERT_THAT(calls.Put("k", "v"), IsOk());
  ASSERT_THAT(calls.AddCounters("c", 7, {{"a", 1}}, absl::Hours(1)), IsOk());
  ASSERT_THAT(calls.AddCounters("c", 7, {{"a", 1}}, absl::Hours(9)), IsOk());
  ASSERT_THAT(calls.AcquireLease("l", "me", absl::InfiniteDuration()), IsOk());
  ASSERT_THAT(calls.RaiseTotals("t", 7, {{"a", 1}}, absl::Hours(1)), IsOk());
  const auto other = Connected(server_.unix_uri() + "?db=2");
  EXPECT_THAT(BlockingStore(*other, clock_).Get("k"), IsOkAndHolds(Eq(std::nullopt)));
  server_.Command({"SWAPDB", "0", "2"});
  EXPECT_EQ(server_.Command({"GET", "p:v1:v:k"}), "v");
  EXPECT_EQ(server_.Command({"HGET", "p:v1:c:c:7", "a"}), "2");
  EXPECT_EQ(server_.Command({"GET", "p:v1:l:l"}), "me");
  EXPECT_EQ(server_.Command({"HGET", "p:v1:t:t:7", "a"}), "1");
  EXPECT_EQ(server_.Command({"DBSIZE"}), "4");
  // The first call's, not the second's.
  EXPECT_LE(TtlMs("p:v1:c:c:7"), absl::ToInt64Milliseconds(absl::Hours(1)));
  EXPECT_GT(TtlMs("p:v1:t:t:7"), absl::ToInt64Milliseconds(absl::Minutes(50)));
  EXPECT_EQ(TtlMs("p:v1:l:l"), -1);
}

// What another version of the services has there, of the same names.
TEST_F(RedisStoreTest, KeysAndChannelsOfAnotherLayoutAreNobodys) {
  for (const std::string of : {"p:", "p:v2:"}) {
    server_.Command({"SET", of + "v:k", "theirs"});
    server_.Command({"HSET", of + "c:c:7", "a", "5"});
    server_.Command({"SET", of + "l:l", "them"});
    server_.Command({"HSET", of + "t:t:7", "a", "5"});
  }
  const auto store = Connected(server_.unix_uri() + "?prefix=p:");
  BlockingStore calls(*store, clock_);
  EXPECT_THAT(calls.Get("k"), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(calls.ReadCounters("c", 7), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(calls.ReadTotals("t", 7), IsOkAndHolds(IsEmpty()));
  ASSERT_OK_AND_ASSIGN(const LeaseHolder holder, calls.AcquireLease("l", "me"));
  EXPECT_TRUE(holder.held);
  ASSERT_THAT(calls.Put("k", "ours"), IsOk());
  ASSERT_THAT(calls.Erase("k"), IsOk());
  EXPECT_EQ(server_.Command({"GET", "p:v:k"}), "theirs");
  EXPECT_EQ(server_.Command({"GET", "p:v2:v:k"}), "theirs");
  std::atomic<int> live = 0, heard = 0;
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       store->Subscribe(
                           "news", [&] { ++live; }, [&](absl::string_view) { ++heard; }));
  ASSERT_TRUE(Eventually([&] { return live == 1; }));
  EXPECT_EQ(server_.Command({"PUBLISH", "p:news", "theirs"}), "0");
  EXPECT_EQ(server_.Command({"PUBLISH", "p:v2:news", "theirs"}), "0");
  ASSERT_THAT(calls.Publish("news", "ours"), IsOk());
  EXPECT_TRUE(Eventually([&] { return heard == 1; }));
}

TEST_F(RedisStoreTest, ResolvesNames) {
  const auto store = Connected("redis://localhost:" + std::to_string(server_.port()));
  EXPECT_THAT(BlockingStore(*store, clock_).Put("k", "v"), IsOk());
  const auto nowhere = Made("redis://no-such-host.invalid?connect_timeout=300ms");
  EXPECT_TRUE(Eventually([&] { return !nowhere->state().last_error.ok(); }));
  EXPECT_THAT(nowhere->state().last_error, StatusIs(kUnavailable, HasSubstr("no-such-host")));
}

TEST_F(RedisStoreTest, ScriptsThatTheServerForgotAreSentAgain) {
  const auto store = Connected(server_.unix_uri());
  BlockingStore calls(*store, clock_);
  ASSERT_THAT(calls.AddCounters("c", 1, {{"a", 1}}), IsOk());
  server_.Command({"SCRIPT", "FLUSH"});
  EXPECT_THAT(calls.AddCounters("c", 1, {{"a", 1}}), IsOk());
  EXPECT_THAT(calls.ReadCounters("c", 1), IsOkAndHolds(ElementsAre(Pair("a", 2))));
  EXPECT_EQ(store->state().failures, 0);
}

TEST_F(RedisStoreTest, PipelinedCallsEndInOrder) {
  const auto store = Connected(server_.unix_uri());
  Notification end;
  std::vector<int> ended;
  for (int i = 0; i < 1000; ++i) {
    store->Put("k", std::to_string(i), absl::Hours(1), clock_.Now() + absl::Seconds(20),
               [&, i](absl::Status status) {
                 EXPECT_THAT(status, IsOk());
                 ended.push_back(i);
                 if (i == 999) end.Notify();
               });
  }
  ASSERT_TRUE(end.WaitWithTimeout(absl::Seconds(20)));
  ASSERT_EQ(ended.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(ended.begin(), ended.end()));
  EXPECT_THAT(BlockingStore(*store, clock_).Get("k"), IsOkAndHolds(Optional(std::string("999"))));
  EXPECT_GT(store->state().latency, absl::ZeroDuration());
}

TEST_F(RedisStoreTest, FailsAtOnceWhileTheServerIsGoneAndRecovers) {
  const auto store = Connected(server_.unix_uri() + "?longest_backoff=100ms");
  BlockingStore calls(*store, clock_);
  ASSERT_THAT(calls.Put("k", "v"), IsOk());
  server_.Kill();
  ASSERT_TRUE(IsDown(*store));
  const absl::Time begun = clock_.Now();
  EXPECT_THAT(calls.Get("k"), StatusIs(kUnavailable));
  EXPECT_THAT(calls.AddCounters("c", 1, {{"a", 1}}), StatusIs(kUnavailable));
  // Not until the deadline, 20 s: with room for a machine that is busy.
  EXPECT_LT(clock_.Now() - begun, absl::Seconds(5));
  EXPECT_EQ(store->state().not_there, 2);
  EXPECT_FALSE(store->state().last_error.ok());
  server_.Start();
  ASSERT_TRUE(IsUp(*store)) << store->state().last_error.ToString();
  EXPECT_EQ(store->state().connections, 2);
  EXPECT_THAT(calls.Put("k", "v"), IsOk());
  EXPECT_THAT(calls.AddCounters("c", 1, {{"a", 1}}), IsOk());
}

TEST_F(RedisStoreTest, CallsInFlightEndWithTheirServer) {
  const auto store = Connected(server_.unix_uri());
  server_.Pause();
  Notification ended;
  absl::Status status;
  store->Put("k", "v", absl::Hours(1), absl::InfiniteFuture(), [&](absl::Status end) {
    status = std::move(end);
    ended.Notify();
  });
  server_.Kill();
  ASSERT_TRUE(ended.WaitWithTimeout(absl::Seconds(20)));
  EXPECT_THAT(status, StatusIs(kUnavailable));
  EXPECT_EQ(store->state().in_flight, 0);
}

TEST_F(RedisStoreTest, AServerThatComesLaterIsFound) {
  server_.Kill();
  const auto store = Made(server_.unix_uri() + "?longest_backoff=100ms");
  ASSERT_TRUE(Eventually([&] { return !store->state().last_error.ok(); }));
  EXPECT_THAT(BlockingStore(*store, clock_).Get("k"), StatusIs(kUnavailable));
  server_.Start();
  EXPECT_TRUE(IsUp(*store)) << store->state().last_error.ToString();
}

TEST_F(RedisStoreTest, AnEmptiedServerHealsFromWhatOwnersTellAgain) {
  const auto store = Connected(server_.unix_uri());
  BlockingStore calls(*store, clock_);
  BudgetTake take;
  take.name = "joules";
  take.owner = "one";
  take.cap = 100;
  take.want = 60;
  take.ttl = absl::Hours(1);
  ASSERT_EQ(calls.TakeBudget(take)->granted, 60);
  server_.Command({"FLUSHALL"});
  server_.Command({"SCRIPT", "FLUSH"});
  take.granted = 60;
  take.settled = 25;
  take.want = 0;
  EXPECT_EQ(calls.TakeBudget(take)->taken, 60);
  take.owner = "two";
  take.granted = take.settled = 0;
  take.want = 100;
  EXPECT_EQ(calls.TakeBudget(take)->granted, 40);
}

TEST_F(RedisStoreTest, AHangingServerCostsACallItsDeadlineThenNothing) {
  const auto store = Connected(server_.unix_uri() +
                               "?stall_timeout=300ms&connect_timeout=300ms&"
                               "longest_backoff=100ms");
  BlockingStore hurried(*store, clock_, absl::Milliseconds(50));
  const int64_t connections = store->state().connections;
  server_.Pause();
  const absl::Time begun = clock_.Now();
  EXPECT_THAT(hurried.Get("k"), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_GE(clock_.Now() - begun, absl::Milliseconds(50));
  EXPECT_EQ(store->state().timeouts, 1);
  ASSERT_TRUE(IsDown(*store));
  EXPECT_THAT(store->state().last_error, StatusIs(kUnavailable, HasSubstr("no reply for")));
  EXPECT_THAT(BlockingStore(*store, clock_).Get("k"), StatusIs(kUnavailable));
  // To connect is not to be answered.
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(store->state().last_error.message(), "no greeting within");
  }));
  EXPECT_EQ(store->state().connections, connections);
  server_.Resume();
  ASSERT_TRUE(IsUp(*store)) << store->state().last_error.ToString();
  EXPECT_THAT(BlockingStore(*store, clock_).Put("k", "v"), IsOk());
}

TEST_F(RedisStoreTest, AnIdleConnectionNoticesAHangingServer) {
  const auto store = Connected(server_.unix_uri() + "?stall_timeout=200ms&connect_timeout=200ms");
  server_.Pause();
  EXPECT_TRUE(IsDown(*store));
  server_.Resume();
}

TEST_F(RedisStoreTest, CallsInFlightAreBounded) {
  const auto store = Connected(server_.unix_uri() + "?max_in_flight=4&stall_timeout=1h");
  BlockingStore hurried(*store, clock_, absl::Milliseconds(20));
  server_.Pause();
  for (int i = 0; i < 4; ++i) {
    EXPECT_THAT(hurried.Get("k"), StatusIs(absl::StatusCode::kDeadlineExceeded));
  }
  // Their replies are still owed: they hold their places.
  EXPECT_EQ(store->state().in_flight, 4);
  EXPECT_THAT(hurried.Get("k"), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(store->state().refusals, 1);
  server_.Resume();
  ASSERT_TRUE(Eventually([&] { return store->state().in_flight == 0; }));
  EXPECT_THAT(BlockingStore(*store, clock_).Put("k", "v"), IsOk());
}

TEST_F(RedisStoreTest, BytesInFlightAreBounded) {
  const auto store = Connected(server_.unix_uri() + "?max_value_bytes=1000&stall_timeout=1h");
  BlockingStore hurried(*store, clock_, absl::Milliseconds(20));
  server_.Pause();
  const std::string large(900, 'x');
  EXPECT_THAT(hurried.Put("k", large), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(hurried.Put("k", large), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(hurried.Put("k", large), StatusIs(absl::StatusCode::kResourceExhausted));
  server_.Resume();
  ASSERT_TRUE(Eventually([&] { return store->state().in_flight == 0; }));
  BlockingStore calls(*store, clock_);
  EXPECT_THAT(calls.Put("k", std::string(1001, 'x')), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(calls.Put("k", std::string(1000, 'x')), IsOk());
}

TEST_F(RedisStoreTest, AValueLargerThanExpectedEndsTheConnectionOnly) {
  const auto store = Connected(server_.unix_uri() + "?max_value_bytes=1000");
  server_.Command({"SET", "v1:v:k", std::string(200'000, 'x')});
  BlockingStore calls(*store, clock_);
  EXPECT_THAT(calls.Get("k"), StatusIs(kUnavailable, HasSubstr("longer than")));
  ASSERT_TRUE(IsUp(*store));
  EXPECT_THAT(calls.Put("other", "v"), IsOk());
}

TEST_F(RedisStoreTest, AFullServerStillCountsAndLimits) {
  const auto store = Connected(server_.unix_uri());
  BlockingStore calls(*store, clock_);
  server_.Command({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  server_.Command({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_THAT(calls.Put("k", "v"), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(calls.AddCounters("c", 1, {{"a", 1}}), IsOk());
  EXPECT_THAT(calls.RaiseTotals("t", 1, {{"a", 1}}), IsOk());
  EXPECT_THAT(calls.AcquireLease("l", "me"), IsOk());
  EXPECT_THAT(calls.RenewLease("l", "me"), IsOk());
  BudgetTake take;
  take.name = "joules";
  take.owner = "me";
  take.cap = take.want = 5;
  take.ttl = absl::Hours(1);
  EXPECT_THAT(calls.TakeBudget(take), IsOk());
  EXPECT_THAT(calls.ReleaseLease("l", "me"), IsOk());
}

TEST_F(RedisStoreTest, AnothersKeyIsAnErrorOfTheCall) {
  const auto store = Connected(server_.unix_uri());
  server_.Command({"SET", "v1:c:c:1", "text"});
  server_.Command({"HSET", "v1:t:t:1", "a", "text"});
  BlockingStore calls(*store, clock_);
  EXPECT_THAT(calls.ReadCounters("c", 1), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_FALSE(calls.AddCounters("c", 1, {{"a", 1}}).ok());
  EXPECT_THAT(calls.ReadTotals("t", 1), StatusIs(absl::StatusCode::kInternal));
  EXPECT_TRUE(store->state().connected);
}

TEST_F(RedisStoreTest, SubscriptionsComeBack) {
  const auto store = Connected(server_.unix_uri() + "?longest_backoff=100ms");
  BlockingStore calls(*store, clock_);
  std::atomic<int> live = 0, heard = 0;
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       store->Subscribe(
                           "news", [&] { ++live; }, [&](absl::string_view) { ++heard; }));
  ASSERT_TRUE(Eventually([&] { return live == 1; }));
  server_.Kill();
  server_.Start();
  ASSERT_TRUE(Eventually([&] { return live == 2; }));
  ASSERT_TRUE(IsUp(*store));
  ASSERT_THAT(calls.Publish("news", "x"), IsOk());
  EXPECT_TRUE(Eventually([&] { return heard == 1; }));
  subscription.reset();
  ASSERT_THAT(calls.Publish("news", "x"), IsOk());
  EXPECT_TRUE(Eventually([&] { return server_.Command({"PUBLISH", "v1:news", "y"}) == "0"; }));
  EXPECT_EQ(heard, 1);
}

TEST_F(RedisStoreTest, SubscriptionsAreBounded) {
  const auto store = Connected(server_.unix_uri());
  std::vector<std::unique_ptr<StoreSubscription>> all;
  absl::StatusOr<std::unique_ptr<StoreSubscription>> subscription;
  for (;;) {
    subscription = store->Subscribe("news", nullptr, nullptr);
    if (!subscription.ok() || all.size() > 100'000) break;
    all.push_back(*std::move(subscription));
  }
  EXPECT_THAT(subscription, StatusIs(absl::StatusCode::kResourceExhausted));
  all.pop_back();
  EXPECT_THAT(store->Subscribe("news", nullptr, nullptr), IsOk());
}

TEST_F(RedisStoreTest, OpenCallsEndWithTheStore) {
  auto store = Connected(server_.unix_uri());
  server_.Pause();
  absl::Status status;
  store->Put("k", "v", absl::Hours(1), absl::InfiniteFuture(),
             [&](absl::Status end) { status = end; });
  store.reset();
  EXPECT_THAT(status, StatusIs(kUnavailable));
  server_.Resume();
}

TEST_F(RedisStoreTest, ACallbackMayCall) {
  const auto store = Connected(server_.unix_uri());
  const absl::Time deadline = clock_.Now() + absl::Seconds(20);
  Notification end;
  store->Put("k", "v", absl::Hours(1), deadline, [&](absl::Status put) {
    EXPECT_THAT(put, IsOk());
    store->Get("k", deadline, [&](absl::StatusOr<std::optional<std::string>> got) {
      EXPECT_THAT(got, IsOkAndHolds(Optional(std::string("v"))));
      end.Notify();
    });
  });
  EXPECT_TRUE(end.WaitWithTimeout(absl::Seconds(20)));
}

}  // namespace
}  // namespace penstock
