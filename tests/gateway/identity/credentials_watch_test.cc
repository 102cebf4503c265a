#include "gateway/identity/credentials_watch.h"

#include "common/notification.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace penstock::gateway {
namespace {

// SHA-256 of "abc": FIPS 180-4's own example.
constexpr char kAbc[] =
    "keys: [{sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, tenant: a}]";

struct FirstReading final : Authenticator::Observer {
  void CredentialsRead(absl::string_view, const absl::Status&) override { read.Notify(); }
  Notification read;
};

TEST(CredentialsWatchTest, HasTheFilesReadAgain) {
  const TempDir dir;
  const FakeClock clock;
  FirstReading reading;
  config::v1::Identity config;
  config.set_api_keys_file(dir.Write("keys.yaml", kAbc));
  config.mutable_reload_interval()->set_nanos(10'000'000);
  const auto authenticator = *Authenticator::Create(config, clock, &reading);
  const auto watch = *CredentialsWatch::Start(config, *authenticator);
  dir.Write("keys.yaml", std::string(kAbc) + "  # looked at\n");
  ASSERT_TRUE(reading.read.WaitWithTimeout(absl::Seconds(30)));
}

TEST(CredentialsWatchTest, RefusesIntervalsOutOfRange) {
  config::v1::Identity config;
  EXPECT_EQ(*CredentialsWatch::Interval(config), absl::Seconds(5));
  config.mutable_reload_interval()->set_nanos(9'999'999);
  EXPECT_FALSE(CredentialsWatch::Interval(config).ok());
  config.mutable_reload_interval()->set_seconds(3601);
  EXPECT_FALSE(CredentialsWatch::Interval(config).ok());
}

}  // namespace
}  // namespace penstock::gateway
