#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/store/store.h"
#include "gmock/gmock.h"
#include "tests/common/store/blocking_store.h"
#include "tests/common/store/redis/redis_server.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::HasSubstr;
using testing::Optional;

// A master, a replica of it, and a sentinel that watches them.
class SentinelTest : public testing::Test {
 protected:
  SentinelTest() {
    EXPECT_TRUE(Eventually([&] {
      return absl::StrContains(replica_.Command({"INFO", "replication"}), "master_link_status:up");
    }));
    sentinel_ = std::make_unique<RedisServer>(RedisServer::Options{
        .tcp = true,
        .sentinel = true,
        .file = absl::StrCat("sentinel monitor main 127.0.0.1 ", master_.port(), " 1\n",
                             "sentinel down-after-milliseconds main 500\n",
                             "sentinel failover-timeout main 3000\n")});
  }

  std::string Uri(const std::string& master = "main") const {
    return absl::StrCat("redis+sentinel://127.0.0.1:1,127.0.0.1:", sentinel_->port(), "/", master,
                        "/0?longest_backoff=100ms&connect_timeout=500ms");
  }
  std::unique_ptr<Store> Made(const std::string& uri) {
    absl::StatusOr<std::unique_ptr<Store>> store = MakeStore(uri, clock_, /*seed=*/1);
    EXPECT_THAT(store, IsOk());
    return *std::move(store);
  }
  // The sentinel must have heard of the replica before it can make it the master.
  bool KnowsTheReplica() const {
    return Eventually(
        [&] {
          return absl::StrContains(sentinel_->Command({"INFO", "sentinel"}), "slaves=1");
        },
        absl::Seconds(60));
  }
  // Writes until one succeeds.
  bool EventuallyServes(Store& store) const {
    BlockingStore calls(store, clock_, absl::Seconds(1));
    return Eventually([&] { return calls.Put("k", "after").ok(); }, absl::Seconds(60));
  }

  const RealClock clock_;
  RedisServer master_{{.tcp = true, .arguments = {"--repl-diskless-sync-delay", "0"}}};
  RedisServer replica_{
      {.tcp = true, .arguments = {"--replicaof", "127.0.0.1", std::to_string(master_.port())}}};
  std::unique_ptr<RedisServer> sentinel_;
};

TEST_F(SentinelTest, FollowsAFailover) {
  const std::unique_ptr<Store> store = Made(Uri());
  // The first sentinel of the address is not there.
  ASSERT_TRUE(Eventually([&] { return store->state().connected; }))
      << store->state().last_error.ToString();
  ASSERT_THAT(BlockingStore(*store, clock_).Put("k", "before"), IsOk());
  EXPECT_EQ(master_.Command({"GET", "v1:v:k"}), "before");
  ASSERT_TRUE(KnowsTheReplica());
  master_.Kill();
  ASSERT_TRUE(EventuallyServes(*store)) << store->state().last_error.ToString();
  EXPECT_EQ(replica_.Command({"GET", "v1:v:k"}), "after");
}

TEST_F(SentinelTest, LeavesAMasterThatTheSentinelsReplaced) {
  const std::unique_ptr<Store> store = Made(Uri());
  ASSERT_TRUE(Eventually([&] { return store->state().connected; }));
  // It may still find that the replica is no good.
  ASSERT_TRUE(Eventually(
      [&] {
        return sentinel_->Command({"SENTINEL", "FAILOVER", "main"}, /*may_fail=*/true) == "OK";
      },
      absl::Seconds(60)));
  ASSERT_TRUE(Eventually(
      [&] {
        BlockingStore calls(*store, clock_, absl::Seconds(1));
        return calls.Put("moved", "yes").ok() &&
               // A sentinel that promotes a replica closes its clients' connections.
               absl::StrContains(replica_.Command({"INFO", "replication"}, /*may_fail=*/true),
                                 "role:master") &&
               replica_.Command({"GET", "v1:v:moved"}, /*may_fail=*/true) == "yes";
      },
      absl::Seconds(60)))
      << store->state().last_error.ToString();
}

TEST_F(SentinelTest, SaysWhatNoSentinelKnows) {
  const std::unique_ptr<Store> store = Made(Uri("other"));
  ASSERT_TRUE(Eventually([&] { return !store->state().last_error.ok(); }));
  EXPECT_THAT(store->state().last_error, StatusIs(absl::StatusCode::kUnavailable,
                                                  HasSubstr("no sentinel knows master 'other'")));
}

TEST_F(SentinelTest, AReplicaIsNotServedFrom) {
  // A sentinel that was told wrongly.
  const RedisServer misled(RedisServer::Options{
      .tcp = true,
      .sentinel = true,
      .file = absl::StrCat("sentinel monitor main 127.0.0.1 ", replica_.port(), " 2\n")});
  const std::unique_ptr<Store> store =
      Made(absl::StrCat("redis+sentinel://127.0.0.1:", misled.port(), "/main"));
  ASSERT_TRUE(Eventually([&] { return !store->state().last_error.ok(); }));
  EXPECT_THAT(store->state().last_error.ToString(), HasSubstr("is not the master"));
  EXPECT_EQ(store->state().connections, 0);
}

}  // namespace
}  // namespace penstock
