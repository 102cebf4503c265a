#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/endpoint_names.h"
#include "common/notification.h"
#include "common/reload/prepared_reload.h"
#include "common/time/clock.h"
#include "penstock/config/v1/gateway.pb.h"

namespace grpc {
class Channel;
}  // namespace grpc
namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::gateway {

// penstock-gateway without its process: identity, admission, forwarding and server. `penstock
// serve` runs it beside the other services.
class GatewayService {
 public:
  struct Options {
    // Where `server.grpc` is empty.
    std::string default_address = "127.0.0.1:8001";
    // Where `page.http` is empty; there it may be taken, and then there is no page.
    std::string default_page = "off";
    // Where the metrics go. Required.
    std::shared_ptr<prometheus::Registry> registry;
    // What "inprocess:router" and a configuration without routers mean. Null: both are refused.
    std::shared_ptr<grpc::Channel> in_process_router;
    // How routers that are names are looked up, and how often. Null: by the system.
    EndpointNames::Resolve resolve;
    absl::Duration look_up_every = EndpointNames::kEvery;
  };

  // What can be checked without reaching a router.
  static absl::Status Validate(const config::v1::Gateway& config,
                               bool has_in_process_router = false);
  // Nothing listens yet. `clock` outlives the service.
  static absl::StatusOr<std::unique_ptr<GatewayService>> Create(const config::v1::Gateway& config,
                                                                const Clock& clock,
                                                                Options options);
  // Drains if that was not done.
  ~GatewayService();

  // Listens. NOT_SERVING until a router is healthy.
  absl::Status Start();
  // False when `timeout` passed first.
  bool WaitUntilReady(absl::Duration timeout) const;
  // NOT_SERVING at once, requests are taken for `drain.grace`, those under way may finish. Blocks.
  void Drain();

  // After Start. Checks another configuration as Validate does, and connects its routers beside
  // those that serve, as soon as names are looked up; INVALID_ARGUMENT too where a field differs
  // that cannot change. Blocks until one of its routers is healthy, where one is now; UNAVAILABLE
  // where none is. One caller at a time.
  absl::StatusOr<PreparedReload> PrepareReload(const config::v1::Gateway& next,
                                               const Notification& give_up);
  // No other files: identity reads its own again.
  static std::vector<std::string> FilesOf(const config::v1::Gateway&) { return {}; }
  std::string Fingerprint() const { return ""; }

  // HOST:PORT as bound.
  const std::string& address() const;
  // Of the live page, as bound; "-": there is none. After Start.
  const std::string& page_address() const;

 private:
  struct State;
  static absl::Status MakeCache(const config::v1::Gateway& config, absl::Duration period,
                                State& state);
  explicit GatewayService(std::unique_ptr<State> state);

  const std::unique_ptr<State> state_;
};

}  // namespace penstock::gateway
