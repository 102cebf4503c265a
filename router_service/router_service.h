#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/notification.h"
#include "common/reload/prepared_reload.h"
#include "common/time/clock.h"
#include "penstock/config/v1/router.pb.h"

namespace grpc {
class Channel;
}  // namespace grpc
namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::router {

// penstock-router without its process: pools, budgets, pipeline and server. `penstock serve` runs
// it beside the other services.
class RouterService {
 public:
  struct Options {
    // Where `server.grpc` is empty. Empty too: in-process channels only.
    std::string default_address = "127.0.0.1:8101";
    // Null: nothing is exported.
    std::shared_ptr<prometheus::Registry> registry;
    // What "inprocess:expert" and experts without replicas mean. Null: a configuration that has
    // them is refused.
    std::shared_ptr<grpc::Channel> in_process_expert;
    // First part of decision ids; two routers of a platform have different ones. Unset: drawn from
    // the clock and the process.
    uint32_t instance = 0;
  };

  // What can be checked without reaching an expert.
  static absl::Status Validate(const config::v1::Router& config,
                               bool has_in_process_expert = false);
  // Reads the files that a valid configuration names, as serving will; errors name pool and field.
  // A router starts without it, since files and experts may come later.
  static absl::Status CheckFiles(const config::v1::Router& config);
  // Nothing listens yet. `clock` outlives the service.
  static absl::StatusOr<std::unique_ptr<RouterService>> Create(const config::v1::Router& config,
                                                               const Clock& clock,
                                                               Options options);
  // Drains if that was not done.
  ~RouterService();

  // Listens and looks for the experts in the background, in whatever order services start.
  // NOT_SERVING until every pool has a healthy expert; after 10 s, until one has.
  absl::Status Start();
  // False when `timeout` passed first.
  bool WaitUntilReady(absl::Duration timeout) const;
  // NOT_SERVING at once, requests are taken for `drain.grace`, those under way may finish. Blocks.
  void Drain();

  // After Start. Checks another configuration as Validate and CheckFiles do, and builds it beside
  // the one that serves; INVALID_ARGUMENT too where a field differs that cannot change. Blocks
  // until experts answer under it (see RouterReload). One caller at a time.
  absl::StatusOr<PreparedReload> PrepareReload(const config::v1::Router& next,
                                               const Notification& give_up);
  // Files whose change is a change of the configuration.
  static std::vector<std::string> FilesOf(const config::v1::Router& config);
  // Of what the files held that serve.
  std::string Fingerprint() const;

  // HOST:PORT as bound, or "-".
  const std::string& address() const;
  // After Start; its callers are trusted.
  std::shared_ptr<grpc::Channel> InProcessChannel();
  // Requests that the handler was given; those answered.
  uint64_t accepted() const;
  uint64_t answered() const;

 private:
  struct Parts;
  explicit RouterService(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace penstock::router
