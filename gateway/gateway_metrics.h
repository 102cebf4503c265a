#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gateway/caching/cache_observer.h"
#include "gateway/forwarding/forwarder.h"
#include "gateway/identity/authenticator.h"
#include "gateway/oip/infer_forwarding.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::gateway {

// Every metric of the gateway. Methods are events; names stand in the .cc alone.
class GatewayMetrics final : public Forwarder::Observer,
                             public InferForwarding::Observer,
                             public Authenticator::Observer,
                             public CacheObserver {
 public:
  explicit GatewayMetrics(prometheus::Registry& registry);
  ~GatewayMetrics() override;

  void RequestAnswered(absl::string_view pool, absl::StatusCode code,
                       absl::Duration latency) override;
  void DeadlineEnded(absl::string_view pool, bool met) override;
  void Retried(absl::string_view why) override;
  void Waiting(uint32_t queued, uint32_t in_flight) override;
  void Waited(absl::Duration waited) override;
  void Shed(absl::string_view pool, ShedReason reason) override;
  void LimitChanged(absl::string_view pool, uint32_t limit) override;
  void CredentialsRead(absl::string_view file, const absl::Status& status) override;
  void Answered(absl::string_view pool, Source source) override;
  void Ran(absl::string_view pool, Outcome outcome) override;
  void Holds(size_t bytes, size_t entries) override;
  void Evicted(size_t entries) override;
  void FlightsOpen(size_t flights) override;
  void StoreAnswered(StoreResult result) override;
  void PoliciesRead(bool ok) override;

 private:
  struct Families;
  const std::unique_ptr<Families> families_;
};

}  // namespace penstock::gateway
