#include "router_service/oip/load_subscription.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "common/mutex.h"
#include "common/net/rpc/client_queues.h"
#include "common/notification.h"
#include "penstock/v1/expert_control.grpc.pb.h"

namespace penstock::router {
namespace {

// Every stream says 1, 2, 3; then it stays open until its client leaves, or ends.
class Endpoint final : public v1::ExpertControl::Service {
 public:
  explicit Endpoint(bool stays) : stays_(stays) {
    grpc::ServerBuilder builder;
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~Endpoint() override { server_->Shutdown(); }

  grpc::Status WatchLoad(grpc::ServerContext* context, const v1::WatchLoadRequest*,
                         grpc::ServerWriter<v1::Load>* writer) override {
    {
      MutexLock lock(mutex_);
      if (++opened_ == 2) reopened.Notify();
    }
    v1::Load load;
    for (uint64_t i = 1; i <= 3; ++i) {
      load.set_in_flight(i);
      writer->Write(load);
    }
    // A client that has left is seen by the write that fails.
    while (stays_ && writer->Write(load)) {
    }
    if (stays_) left.Notify();
    return grpc::Status::OK;
  }

  std::shared_ptr<grpc::Channel> Channel() {
    return server_->InProcessChannel(grpc::ChannelArguments());
  }
  int opened() const {
    MutexLock lock(mutex_);
    return opened_;
  }

  Notification reopened, left;

 private:
  const bool stays_;
  mutable Mutex mutex_;
  int opened_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<grpc::Server> server_;
};

// Listens until it has heard so many loads.
class Listener {
 public:
  explicit Listener(size_t wants) : wants_(wants) {}

  void ListenTo(LoadSubscription& subscription) {
    subscription.Add(std::weak_ptr<const void>(alive_), [this](const v1::Load& load) {
      MutexLock lock(mutex_);
      heard_.push_back(load.in_flight());
      if (heard_.size() < wants_) return;
      alive_ = nullptr;
      satisfied.Notify();
    });
  }
  std::vector<uint64_t> heard() const {
    MutexLock lock(mutex_);
    return heard_;
  }

  Notification satisfied;

 private:
  const size_t wants_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
  mutable Mutex mutex_;
  std::vector<uint64_t> heard_ ABSL_GUARDED_BY(mutex_);
};

constexpr absl::Duration kPatience = absl::Seconds(20);

TEST(LoadSubscriptionTest, AllHearOfTheLoadOverOneStream) {
  Endpoint endpoint(true);
  ClientQueues queues(1);
  const auto subscription =
      std::make_shared<LoadSubscription>(RpcClient(endpoint.Channel(), queues));
  Listener one(1000), other(1000);
  one.ListenTo(*subscription);
  other.ListenTo(*subscription);
  EXPECT_TRUE(one.satisfied.WaitWithTimeout(kPatience));
  EXPECT_TRUE(other.satisfied.WaitWithTimeout(kPatience));
  EXPECT_EQ(one.heard()[0], 1u);
  EXPECT_EQ(one.heard()[2], 3u);
  EXPECT_EQ(endpoint.opened(), 1);
  subscription->Stop();
}

TEST(LoadSubscriptionTest, TheStreamEndsWithTheLastWhoListens) {
  Endpoint endpoint(true);
  ClientQueues queues(1);
  const auto subscription =
      std::make_shared<LoadSubscription>(RpcClient(endpoint.Channel(), queues));
  Listener one(2);
  one.ListenTo(*subscription);
  EXPECT_TRUE(one.satisfied.WaitWithTimeout(kPatience));
  EXPECT_TRUE(endpoint.left.WaitWithTimeout(kPatience));
  EXPECT_EQ(one.heard(), (std::vector<uint64_t>{1, 2}));
  subscription->Stop();
}

TEST(LoadSubscriptionTest, StoppingEndsTheStream) {
  Endpoint endpoint(true);
  ClientQueues queues(1);
  const auto subscription =
      std::make_shared<LoadSubscription>(RpcClient(endpoint.Channel(), queues));
  const auto listener = std::make_shared<int>();
  Notification heard;
  subscription->Add(listener, [&](const v1::Load&) {
    if (!heard.HasBeenNotified()) heard.Notify();
  });
  EXPECT_TRUE(heard.WaitWithTimeout(kPatience));
  subscription->Stop();
  EXPECT_TRUE(endpoint.left.WaitWithTimeout(kPatience));
}

TEST(LoadSubscriptionTest, AStreamThatEndsIsOpenedAgain) {
  Endpoint endpoint(false);
  ClientQueues queues(1);
  const auto subscription =
      std::make_shared<LoadSubscription>(RpcClient(endpoint.Channel(), queues));
  Listener one(4);
  one.ListenTo(*subscription);
  EXPECT_TRUE(one.satisfied.WaitWithTimeout(kPatience));
  EXPECT_TRUE(endpoint.reopened.WaitWithTimeout(kPatience));
  EXPECT_EQ(one.heard(), (std::vector<uint64_t>{1, 2, 3, 1}));
  subscription->Stop();
}

// What a listener's sink holds, so that it can be seen whether the subscription keeps it.
TEST(LoadSubscriptionTest, AnEndpointThatSaysNothingKeepsNoneWhoAreGone) {
  grpc::ServerBuilder builder;
  v1::ExpertControl::Service stranger;  // every method is unimplemented
  builder.RegisterService(&stranger);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ClientQueues queues(1);
  const auto subscription = std::make_shared<LoadSubscription>(
      RpcClient(server->InProcessChannel(grpc::ChannelArguments()), queues));
  std::vector<std::weak_ptr<int>> held;
  // As at reloads: each makes a replica that follows, and lets go of it.
  for (int reload = 0; reload < 100; ++reload) {
    const auto listener = std::make_shared<int>();
    const auto sink_holds = std::make_shared<int>();
    held.push_back(sink_holds);
    subscription->Add(listener, [sink_holds](const v1::Load&) {});
  }
  const auto still = std::count_if(held.begin(), held.end(),
                                   [](const auto& each) { return !each.expired(); });
  EXPECT_EQ(still, 1);  // until the next comes
  subscription->Stop();
  server->Shutdown();
}

}  // namespace
}  // namespace penstock::router
