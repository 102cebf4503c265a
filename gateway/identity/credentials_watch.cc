#include "gateway/identity/credentials_watch.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::gateway {
namespace {

constexpr absl::Duration kDefaultInterval = absl::Seconds(5);
constexpr absl::Duration kShortestInterval = absl::Milliseconds(10);
constexpr absl::Duration kLongestInterval = absl::Hours(1);

}  // namespace

absl::StatusOr<absl::Duration> CredentialsWatch::Interval(const config::v1::Identity& config) {
  if (!config.has_reload_interval()) return kDefaultInterval;
  const absl::Duration interval = absl::Seconds(config.reload_interval().seconds()) +
                                  absl::Nanoseconds(config.reload_interval().nanos());
  if (interval < kShortestInterval || interval > kLongestInterval) {
    return absl::InvalidArgumentError(absl::StrCat(
        "identity.reload_interval: wanted ", absl::FormatDuration(kShortestInterval), " to ",
        absl::FormatDuration(kLongestInterval), ", got ", absl::FormatDuration(interval)));
  }
  return interval;
}

absl::StatusOr<std::unique_ptr<CredentialsWatch>> CredentialsWatch::Start(
    const config::v1::Identity& config, Authenticator& authenticator) {
  PENSTOCK_ASSIGN_OR_RETURN(const absl::Duration interval, Interval(config));
  return std::unique_ptr<CredentialsWatch>(new CredentialsWatch(interval, authenticator));
}

CredentialsWatch::CredentialsWatch(absl::Duration interval, Authenticator& authenticator)
    : interval_(interval), authenticator_(authenticator) {
  if (authenticator_.has_files()) thread_ = std::thread([this] { Run(); });
}

CredentialsWatch::~CredentialsWatch() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
    stopped_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void CredentialsWatch::Run() {
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (!stop_) stopped_.WaitFor(mutex_, interval_);
      if (stop_) return;
    }
    authenticator_.Reload();
  }
}

}  // namespace penstock::gateway
