#include "cli/serve/platform.h"

#include "cli/client/pool_client.h"
#include "common/config/yaml_config.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(RolesTest, ParsesEachNameAndAnyMixture) {
  ASSERT_OK_AND_ASSIGN(const Roles all, Roles::Parse("expert,gateway,router"));
  EXPECT_TRUE(all.gateway && all.router && all.expert);
  ASSERT_OK_AND_ASSIGN(const Roles two, Roles::Parse("gateway,router"));
  EXPECT_TRUE(two.gateway && two.router && !two.expert);
  ASSERT_OK_AND_ASSIGN(const Roles one, Roles::Parse("expert"));
  EXPECT_TRUE(!one.gateway && !one.router && one.expert);
}

TEST(RolesTest, OtherWordsAndNoneAreRefusedWithTheOptionsName) {
  EXPECT_THAT(Roles::Parse("gateway,proxy"),
              StatusIs(absl::StatusCode::kInvalidArgument, "--roles: wanted gateway, router or expert, got proxy"));
  EXPECT_THAT(Roles::Parse("Gateway"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("got Gateway")));
  for (const char* nothing : {"", ","}) {
    EXPECT_THAT(Roles::Parse(nothing),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--roles")));
  }
}

constexpr char kRouter[] = R"(
router:
  pools:
  - name: digits
    experts: [{name: small}, {name: large}]
)";

config::v1::Platform Parse(const std::string& yaml) {
  config::v1::Platform config;
  EXPECT_THAT(ReadYaml(yaml, config), IsOk());
  return config;
}

// All three services, with a folder of models that exists.
config::v1::Platform AllServices() {
  config::v1::Platform config = Parse(kRouter);
  config.mutable_expert()->set_model_repository(ProcessTempDir());
  return config;
}

TEST(PlatformValidateTest, ServicesOfOneProcessNeedNoAddresses) {
  EXPECT_THAT(Platform::Validate(AllServices(), Roles{}), IsOk());
}

TEST(PlatformValidateTest, MessagesNameTheSection) {
  config::v1::Platform config = AllServices();
  config.mutable_expert()->clear_model_repository();
  EXPECT_THAT(Platform::Validate(config, Roles{}),
              StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("expert.model_repository")));

  config = AllServices();
  config.mutable_router()->set_watts_per_core(-1);
  EXPECT_THAT(Platform::Validate(config, Roles{}),
              StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("router.watts_per_core")));

  config = AllServices();
  config.mutable_gateway()->add_routers();
  EXPECT_THAT(Platform::Validate(config, Roles{}),
              StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("gateway.routers[0].address")));
}

TEST(PlatformValidateTest, OnlyTheSectionsOfItsRolesAreLookedAt) {
  config::v1::Platform config = AllServices();
  config.mutable_expert()->clear_model_repository();
  config.mutable_router()->set_watts_per_core(-1);
  config.mutable_gateway()->add_routers()->set_address("127.0.0.1:8101");
  EXPECT_THAT(Platform::Validate(config, Roles{.gateway = true, .router = false, .expert = false}),
              IsOk());
}

TEST(PlatformValidateTest, WhatIsNotInTheProcessNeedsAnAddress) {
  const config::v1::Platform config = AllServices();
  EXPECT_THAT(Platform::Validate(config, Roles{.gateway = true, .router = false, .expert = false}),
              StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("gateway.routers")));
  EXPECT_THAT(Platform::Validate(config, Roles{.gateway = false, .router = true, .expert = false}),
              StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("router.")));
}

TEST(PlatformTest, WithoutMetricsAndPageItStillAnswers) {
  config::v1::Platform config = Parse(R"(
gateway:
  server: {grpc: "127.0.0.1:0", metrics: "off", drain: {grace: 0s}}
  routers: [{address: "unix:/nowhere/router"}]
  page: {http: "off"}
)");
  const RealClock clock;
  ASSERT_OK_AND_ASSIGN(
      const auto platform,
      Platform::Start(config, Roles{.gateway = true, .router = false, .expert = false}, clock));
  EXPECT_EQ(platform->metrics_address(), "-");
  EXPECT_EQ(platform->page_address(), "-");
  EXPECT_FALSE(platform->WaitUntilReady(absl::ZeroDuration()));
  ClientOptions options;
  options.target = platform->address();
  ASSERT_OK_AND_ASSIGN(const auto client, PoolClient::Create(options));
  InferRequest request;
  request.model_name = "digits";
  request.inputs = {FloatTensor("x", {1}, {1})};
  EXPECT_THAT(client->Infer(request, absl::Seconds(20)), StatusIs(absl::StatusCode::kUnavailable));
  platform->Drain();
}

TEST(PlatformTest, ConfigurationThatIsInvalidDoesNotStart) {
  const RealClock clock;
  EXPECT_THAT(Platform::Start({}, Roles{}, clock), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace penstock::cli
