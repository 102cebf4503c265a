// Routers of a gateway that are a name: over sockets, looked up by a resolver of the test's.

#include <gmock/gmock.h>

#include <future>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/gateway/service_tests/security_fixture.h"
#include "tests/support/status_matchers.h"

namespace penstock::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr absl::Duration kShort = absl::Milliseconds(5);

class NamedRoutersTest : public ::testing::Test {
 protected:
  ~NamedRoutersTest() override { gateway_ = nullptr; }

  static config::v1::Gateway Config(const std::string& address) {
    config::v1::Gateway config;
    config.add_routers()->set_address(address);
    config.mutable_server()->set_threads(1);
    config.mutable_server()->mutable_drain()->mutable_grace();  // 0
    return config;
  }
  void Serve(const config::v1::Gateway& config, EndpointNames::Resolve resolve) {
    GatewayService::Options options;
    options.default_address = "127.0.0.1:0";
    options.registry = std::make_shared<prometheus::Registry>();
    options.resolve = std::move(resolve);
    options.look_up_every = kShort;
    ASSERT_OK_AND_ASSIGN(gateway_, GatewayService::Create(config, clock_, std::move(options)));
    ASSERT_THAT(gateway_->Start(), IsOk());
  }
  // "routers" is known by what Name last said.
  EndpointNames::Resolve ByTest() {
    return [this](const std::string& host,
                  const std::string&) -> absl::StatusOr<std::vector<std::string>> {
      MutexLock lock(mutex_);
      if (host != "routers") return absl::NotFoundError(host);
      return named_;
    };
  }
  void Name(absl::StatusOr<std::vector<std::string>> addresses) {
    MutexLock lock(mutex_);
    named_ = std::move(addresses);
  }
  grpc::Status Infer() const {
    const auto stub = inference::GRPCInferenceService::NewStub(
        grpc::CreateChannel(gateway_->address(), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
    inference::ModelInferRequest request;
    inference::ModelInferResponse response;
    request.set_model_name("pool");
    return stub->ModelInfer(&context, request, &response);
  }
  // Asks until one of `routers` has had a request more; every request is answered.
  void AskUntilSeenBy(const FakeRouter& router) const {
    const size_t before = router.seen().size();
    const absl::Time until = absl::Now() + kPatience;
    while (router.seen().size() == before) {
      ASSERT_LT(absl::Now(), until);
      const grpc::Status status = Infer();
      ASSERT_TRUE(status.ok()) << status.error_message();
    }
  }
  // Asks until `left` has had none of 20 in a row; every request is answered.
  void AskUntilLeft(const FakeRouter& left) const {
    const absl::Time until = absl::Now() + kPatience;
    for (size_t without = 0, before = left.seen().size(); without < 20; ++without) {
      ASSERT_LT(absl::Now(), until);
      const grpc::Status status = Infer();
      ASSERT_TRUE(status.ok()) << status.error_message();
      if (left.seen().size() == before) continue;
      before = left.seen().size();
      without = 0;
    }
  }

  const RealClock clock_;
  Mutex mutex_;
  absl::StatusOr<std::vector<std::string>> named_ ABSL_GUARDED_BY(mutex_) =
      std::vector<std::string>();
  FakeRouter one_, two_;
  std::unique_ptr<GatewayService> gateway_;
};

TEST_F(NamedRoutersTest, RoutersComeAndGoWithTheirName) {
  Name(std::vector<std::string>{one_.address()});
  Serve(Config("dns:///routers:1"), ByTest());
  ASSERT_TRUE(gateway_->WaitUntilReady(kPatience));
  AskUntilSeenBy(one_);
  EXPECT_THAT(two_.seen(), IsEmpty());

  // One in flight, so that the other is less busy.
  one_.Hold();
  std::future<grpc::Status> held = std::async(std::launch::async, [this] { return Infer(); });
  one_.WaitForHeld();
  Name(std::vector<std::string>{one_.address(), two_.address()});
  // Nobody answers while it alone is known: the other one is asked as soon as it is.
  const absl::Time until = absl::Now() + kPatience;
  std::vector<std::future<grpc::Status>> asked;
  while (two_.seen().empty() && absl::Now() < until) {
    asked.push_back(std::async(std::launch::async, [this] { return Infer(); }));
    asked.back().wait_for(std::chrono::milliseconds(20));
  }
  ASSERT_FALSE(two_.seen().empty());

  // What the first one has is answered by it, though it has left.
  Name(std::vector<std::string>{two_.address()});
  AskUntilLeft(one_);
  one_.Release();
  EXPECT_TRUE(held.get().ok());
  for (std::future<grpc::Status>& each : asked) EXPECT_TRUE(each.get().ok());
}

TEST_F(NamedRoutersTest, AGatewayWithoutAnAddressDoesNotServeUntilThereIsOne) {
  Serve(Config("dns:///routers:1"), ByTest());
  EXPECT_FALSE(gateway_->WaitUntilReady(10 * kShort));
  const grpc::Status refused = Infer();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  Name(std::vector<std::string>{two_.address()});
  EXPECT_TRUE(gateway_->WaitUntilReady(kPatience));
  AskUntilSeenBy(two_);
  // What cannot be looked up any more changes nothing.
  Name(absl::UnavailableError("no server"));
  AskUntilSeenBy(two_);
}

TEST_F(NamedRoutersTest, AReloadBringsANameThatIsLookedUpFirst) {
  Serve(Config(one_.address()), ByTest());
  ASSERT_TRUE(gateway_->WaitUntilReady(kPatience));
  Name(std::vector<std::string>{two_.address()});
  const Notification never;
  ASSERT_OK_AND_ASSIGN(PreparedReload reload,
                       gateway_->PrepareReload(Config("dns:///routers:1"), never));
  reload.commit();
  AskUntilLeft(one_);
  AskUntilSeenBy(two_);
  // And leaves it again.
  ASSERT_OK_AND_ASSIGN(reload, gateway_->PrepareReload(Config(one_.address()), never));
  reload.commit();
  AskUntilLeft(two_);
}

TEST_F(NamedRoutersTest, TheSystemsResolverKnowsLocalhost) {
  const std::string port = one_.address().substr(one_.address().rfind(':') + 1);
  Serve(Config(absl::StrCat("dns:///localhost:", port)), nullptr);
  ASSERT_TRUE(gateway_->WaitUntilReady(kPatience));
  AskUntilSeenBy(one_);
}

TEST_F(NamedRoutersTest, ANameThatIsNoneIsRefusedByItsField) {
  EXPECT_THAT(GatewayService::Validate(Config("dns:///routers")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("routers[0].address is dns:///routers, wanted dns:///NAME:PORT")));
  config::v1::Gateway many;
  for (int i = 0; i < 257; ++i) many.add_routers()->set_address(absl::StrCat("dns:///r", i, ":1"));
  EXPECT_THAT(GatewayService::Validate(many),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("routers[256].address: dns:///r256:1 is one name more than the "
                                 "256")));
}

}  // namespace
}  // namespace penstock::gateway
