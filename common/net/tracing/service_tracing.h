#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/time/clock.h"
#include "penstock/config/v1/server.pb.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock {

class Tracer;

// The tracing of one service: its tracer, and what sends the spans. Without a collector there is
// neither, but the metrics are told. Destroyed after what begins spans; spans that end later are
// lost.
class ServiceTracing {
 public:
  static constexpr absl::Duration kLastSending = absl::Seconds(1);

  // INVALID_ARGUMENT names the field.
  static absl::Status Validate(const config::v1::Tracing& config);
  // `service`: "gateway", "router", "expert". `registry`: null: nothing is told. `clock` outlives
  // it.
  static absl::StatusOr<std::unique_ptr<ServiceTracing>> Create(
      const config::v1::Tracing& config, const std::string& service, const Clock& clock,
      std::shared_ptr<prometheus::Registry> registry);
  // Finishes, if that was not done.
  ~ServiceTracing();

  // Null: nothing is traced.
  Tracer* tracer() const;
  // Sends what waits, kLastSending at most; spans that end later are lost. Blocks.
  void Finish();

 private:
  struct Parts;
  explicit ServiceTracing(std::unique_ptr<Parts> parts);
  const std::unique_ptr<Parts> parts_;
};

}  // namespace penstock
