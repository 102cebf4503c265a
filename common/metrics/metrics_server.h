#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "penstock/config/v1/server.pb.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock {

// Serves /metrics over HTTP or HTTPS in Prometheus' text format: a registry, and the process's own
// CPU, memory and descriptors. One thread; so many clients at once, each for a few seconds.
class MetricsServer {
 public:
  // HOST:PORT (port 0 picks a free one), or "off". With a certificate in `tls`, HTTPS; its files
  // are read again for each connection where they changed. UNAVAILABLE when it cannot be bound.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(
      const std::string& address, std::shared_ptr<prometheus::Registry> registry,
      const config::v1::Tls& tls = {});
  ~MetricsServer();

  // HOST:PORT as bound, or "-" when off.
  const std::string& address() const;

 private:
  struct State;
  explicit MetricsServer(std::unique_ptr<State> state);

  const std::unique_ptr<State> state_;
};

}  // namespace penstock
