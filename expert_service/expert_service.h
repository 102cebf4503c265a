#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/notification.h"
#include "common/reload/prepared_reload.h"
#include "common/time/clock.h"
#include "penstock/config/v1/expert.pb.h"

namespace grpc {
class Channel;
}  // namespace grpc
namespace penstock {
class ClientQueues;
class ServiceRegistry;
}  // namespace penstock

namespace penstock::expert {

// penstock-expert without its process: models, meter, executor and server. `penstock serve` runs it
// beside the other services and reaches it over InProcessChannel.
class ExpertService {
 public:
  struct Options {
    // Where `server.grpc` is empty. Empty too: in-process channels only.
    std::string default_address = "127.0.0.1:8201";
    // Null: nothing is exported.
    std::shared_ptr<ServiceRegistry> registry;
  };

  // What can be checked without loading models or touching devices.
  static absl::Status Validate(const config::v1::Expert& config);
  // Loads the models of a valid configuration, as serving will, and drops them.
  static absl::Status CheckFiles(const config::v1::Expert& config);
  // Loads the models; nothing listens yet. `clock` outlives the service.
  static absl::StatusOr<std::unique_ptr<ExpertService>> Create(const config::v1::Expert& config,
                                                               const Clock& clock, Options options);
  // Drains without grace if that was not done.
  ~ExpertService();

  // Listens, warms the models up (requests are UNAVAILABLE meanwhile), says it is ready.
  absl::Status Start();
  // NOT_SERVING at once, requests are taken for `drain.grace`, those under way may finish. Blocks.
  void Drain();

  // After Start. Loads, beside what is served, what another configuration and the repository as it
  // is now would serve; INVALID_ARGUMENT too where a field differs that cannot change. Blocks. One
  // caller at a time.
  absl::StatusOr<PreparedReload> PrepareReload(const config::v1::Expert& next,
                                               const Notification& give_up);
  // Files whose change is a change of what is served.
  static std::vector<std::string> FilesOf(const config::v1::Expert& config);
  // Of the models that are served.
  std::string Fingerprint() const;

  // HOST:PORT as bound, or "-".
  const std::string& address() const;
  // After Start; its callers are trusted.
  std::shared_ptr<grpc::Channel> InProcessChannel();
  ClientQueues& queues();

 private:
  struct Parts;
  explicit ExpertService(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace penstock::expert
