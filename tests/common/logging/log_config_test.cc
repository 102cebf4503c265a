#include "common/logging/log_config.h"

#include "common/config/yaml_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "penstock/config/v1/gateway.pb.h"
#include "penstock/config/v1/router.pb.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

absl::StatusOr<LogOptions> Read(const std::string& yaml) {
  config::v1::Gateway config;
  if (absl::Status status = ReadYaml(yaml, config); !status.ok()) return status;
  return ReadLogOptions({{"", &config}});
}

std::string Refusal(const std::string& yaml) { return std::string(Read(yaml).status().message()); }

TEST(LogConfigTest, AConfigurationWithoutALogHasTheDefaults) {
  const auto options = Read("{}");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(*options, LogOptions());
  EXPECT_EQ(options->level, LogLevel::kInfo);
  EXPECT_EQ(options->max_lines_per_second, 20);
}

TEST(LogConfigTest, EachFieldIsRead) {
  const auto options =
      Read("server: {log: {format: JSON, level: debug, max_lines_per_second: 0.5}}");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(*options, (LogOptions{LogFormat::kJson, LogLevel::kDebug, 0.5}));
}

TEST(LogConfigTest, ALevelThatIsNoneIsNamed) {
  EXPECT_EQ(Refusal("server: {log: {level: loud}}"),
            "server.log.level: wanted error, warning, info or debug, got \"loud\"");
}

TEST(LogConfigTest, ARateMustBeInItsRange) {
  EXPECT_EQ(Refusal("server: {log: {max_lines_per_second: 0}}"),
            "server.log.max_lines_per_second: wanted more than 0 and at most 100000, got 0");
  EXPECT_NE(Refusal("server: {log: {max_lines_per_second: 100001}}"), "");
  EXPECT_NE(Refusal("server: {log: {max_lines_per_second: nan}}"), "");
  EXPECT_EQ(Refusal("server: {log: {max_lines_per_second: 100000}}"), "");
}

TEST(LogConfigTest, AFormatWithoutANameIsRefused) {
  config::v1::Gateway config;
  config.mutable_server()->mutable_log()->set_format(static_cast<config::v1::Log::Format>(7));
  EXPECT_EQ(std::string(ReadLogOptions({{"", &config}}).status().message()),
            "server.log.format: wanted KEY_VALUE or JSON, got 7");
}

class SharedLogConfigTest : public testing::Test {
 protected:
  SharedLogConfigTest() {
    gateway_.mutable_server()->set_grpc("127.0.0.1:0");
    router_.mutable_server()->set_grpc("127.0.0.1:0");
  }
  absl::StatusOr<LogOptions> Read() {
    return ReadLogOptions({{"gateway", &gateway_}, {"router", &router_}});
  }

  config::v1::Gateway gateway_;
  config::v1::Router router_;
};

TEST_F(SharedLogConfigTest, OneServiceSpeaksForTheOthers) {
  router_.mutable_server()->mutable_log()->set_level("debug");
  ASSERT_TRUE(Read().ok());
  EXPECT_EQ(Read()->level, LogLevel::kDebug);
}

TEST_F(SharedLogConfigTest, TwoThatSayTheSameAgree) {
  router_.mutable_server()->mutable_log()->set_level("info");
  gateway_.mutable_server()->mutable_log();
  EXPECT_TRUE(Read().ok());
}

TEST_F(SharedLogConfigTest, TwoThatDifferAreRefused) {
  router_.mutable_server()->mutable_log()->set_level("debug");
  gateway_.mutable_server()->mutable_log()->set_level("error");
  EXPECT_EQ(std::string(Read().status().message()),
            "router.server.log: wanted what gateway.server.log says or nothing, got something "
            "else: services of one process have one log");
}

TEST_F(SharedLogConfigTest, AWrongFieldIsNamedWithItsSection) {
  router_.mutable_server()->mutable_log()->set_level("LOUD");
  EXPECT_EQ(std::string(Read().status().message()),
            "router.server.log.level: wanted error, warning, info or debug, got \"LOUD\"");
}

}  // namespace
}  // namespace penstock
