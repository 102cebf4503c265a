#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/logging/log.h"
#include "common/metrics/metrics_server.h"
#include "common/notification.h"
#include "common/reload/prepared_reload.h"
#include "common/reload/process_reload.h"
#include "common/time/clock.h"
#include "expert_service/expert_service.h"
#include "gateway/gateway_service.h"
#include "penstock/config/v1/platform.pb.h"
#include "router_service/router_service.h"

namespace penstock::cli {

// Which services a process runs.
struct Roles {
  bool gateway = true;
  bool router = true;
  bool expert = true;

  // "gateway,router"; INVALID_ARGUMENT for other words or none.
  static absl::StatusOr<Roles> Parse(const std::string& text);
};

// Several services in one process, each with its own server, meeting over in-process channels.
class Platform {
 public:
  static absl::Status Validate(const config::v1::Platform& config, const Roles& roles);
  // Reads the files that a valid configuration names, as serving will.
  static absl::Status CheckFiles(const config::v1::Platform& config, const Roles& roles);
  // What `server.log` of these services' sections says of the process that runs them.
  static absl::StatusOr<LogOptions> ReadLog(const config::v1::Platform& config,
                                            const Roles& roles);
  // Starts the experts, then the router, then the gateway. `clock` outlives the platform.
  static absl::StatusOr<std::unique_ptr<Platform>> Start(const config::v1::Platform& config,
                                                         const Roles& roles, const Clock& clock);
  // Each service's PrepareReload, of all sections: with an error in one none changes.
  absl::StatusOr<PreparedReload> PrepareReload(const config::v1::Platform& next,
                                               const Notification& give_up);
  // Files whose change is a change of the configuration.
  std::vector<std::string> FilesOf(const config::v1::Platform& config) const;
  std::string Fingerprint() const;
  // Of the services that it runs, in the order of `registries`.
  std::vector<ServedSection> SectionsOf(const config::v1::Platform& config) const;
  // One of each service.
  const std::vector<std::shared_ptr<prometheus::Registry>>& registries() const {
    return registries_;
  }

  // The gateway leaves first, the experts last, so that what was accepted is answered. Nothing
  // serves after it.
  void Drain();

  // False when `timeout` passed before every service was ready.
  bool WaitUntilReady(absl::Duration timeout) const;
  // Of the outermost service.
  const std::string& address() const;
  // Of the gateway's live page; "-": there is none.
  std::string page_address() const { return gateway_ == nullptr ? "-" : gateway_->page_address(); }
  const std::string& metrics_address() const { return metrics_.back()->address(); }

 private:
  Platform() = default;
  // Serves a registry where the configuration says, or at the service's default.
  absl::Status ServeMetrics(const config::v1::Server& server, const std::string& otherwise,
                            std::shared_ptr<prometheus::Registry> registry);

  std::vector<std::shared_ptr<prometheus::Registry>> registries_;
  std::vector<std::unique_ptr<MetricsServer>> metrics_;
  std::unique_ptr<expert::ExpertService> expert_;
  std::unique_ptr<router::RouterService> router_;
  std::unique_ptr<gateway::GatewayService> gateway_;
};

}  // namespace penstock::cli
