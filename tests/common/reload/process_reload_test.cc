#include "common/reload/process_reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "penstock/config/v1/gateway.pb.h"
#include "tests/support/captured_log.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ProcessReloadTest : public testing::Test {
 protected:
  absl::StatusOr<PreparedReload> Join(std::vector<std::string> changes = {}) {
    PreparedReload services;
    services.changes = std::move(changes);
    services.commit = [this] { ++commits_; };
    return reload_.Join({{"", &next_, nullptr}}, std::move(services));
  }

  CapturedLog log_;
  config::v1::Gateway running_, next_;
  int commits_ = 0;
  ProcessReload reload_{{{"", &running_, nullptr}}};
};

TEST_F(ProcessReloadTest, TheLogChangesWithTheCommitAndNotBefore) {
  next_.mutable_server()->mutable_log()->set_level("debug");
  auto joined = Join();
  ASSERT_THAT(joined, IsOk());
  EXPECT_THAT(joined->changes, ElementsAre("server.log"));
  EXPECT_EQ(log_.log().options().level, LogLevel::kInfo);
  joined->commit();
  EXPECT_EQ(log_.log().options().level, LogLevel::kDebug);
  EXPECT_EQ(commits_, 1);
}

TEST_F(ProcessReloadTest, AChangeThatTheServiceTellsIsNotToldTwice) {
  next_.mutable_server()->mutable_log()->set_level("debug");
  EXPECT_THAT(Join({"server.log.level"})->changes, ElementsAre("server.log.level"));
}

TEST_F(ProcessReloadTest, ALogThatStaysIsNoChange) {
  next_.mutable_server()->mutable_log()->set_level("info");
  EXPECT_THAT(Join()->changes, IsEmpty());
}

TEST_F(ProcessReloadTest, AWrongLogIsRefusedAndNothingIsCommitted) {
  next_.mutable_server()->mutable_log()->set_level("loud");
  const auto joined = Join();
  EXPECT_THAT(std::string(joined.status().message()), HasSubstr("server.log.level: wanted"));
  EXPECT_EQ(commits_, 0);
}

TEST_F(ProcessReloadTest, AServiceWithoutACommitChangesTheLogAllTheSame) {
  next_.mutable_server()->mutable_log()->set_format(config::v1::Log::JSON);
  auto joined = reload_.Join({{"", &next_, nullptr}}, PreparedReload());
  ASSERT_THAT(joined, IsOk());
  joined->commit();
  EXPECT_EQ(log_.log().options().format, LogFormat::kJson);
}

}  // namespace
}  // namespace penstock
