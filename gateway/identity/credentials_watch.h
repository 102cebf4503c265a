#pragma once

#include <memory>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/identity/authenticator.h"
#include "penstock/config/v1/gateway.pb.h"

namespace penstock::gateway {

// Has an authenticator read its files again every so often, on a thread of its own: files block.
class CredentialsWatch {
 public:
  // INVALID_ARGUMENT: identity.reload_interval is out of range. The authenticator outlives it.
  static absl::StatusOr<std::unique_ptr<CredentialsWatch>> Start(const config::v1::Identity& config,
                                                                 Authenticator& authenticator);
  static absl::StatusOr<absl::Duration> Interval(const config::v1::Identity& config);
  ~CredentialsWatch();

 private:
  CredentialsWatch(absl::Duration interval, Authenticator& authenticator);
  void Run();

  const absl::Duration interval_;
  Authenticator& authenticator_;
  Mutex mutex_;
  CondVar stopped_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace penstock::gateway
