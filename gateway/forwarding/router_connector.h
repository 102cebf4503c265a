#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/endpoint_names.h"
#include "common/mutex.h"
#include "common/net/rpc/client_queues.h"
#include "gateway/forwarding/router_set.h"
#include "penstock/config/v1/gateway.pb.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace penstock::gateway {

// "inprocess:router" as an address.
inline constexpr char kInprocessRouter[] = "inprocess:router";

// Connects to the routers of configurations, and counts how many of those that serve are healthy.
// Thread-safe.
class RouterConnector {
 public:
  // Runs whenever a router that serves comes or goes, with how many of them are healthy then, on
  // any thread, one at a time. Must not block.
  using OnHealthy = std::function<void(int healthy)>;

  // `in_process`: what "inprocess:router" and a configuration without routers mean; may be null.
  // `queues` and `names` outlive the connector, `queues` its routers too.
  RouterConnector(ClientQueues& queues, uint64_t max_message_bytes,
                  std::shared_ptr<grpc::Channel> in_process, EndpointNames& names,
                  OnHealthy on_healthy);

  // Nothing is told from here on.
  ~RouterConnector();

  // Those of `config`, in its order; for a name, those that it stands for now, each of which shows
  // the name's certificate. A router that somebody holds is the same one; the others stay connected
  // while the caller holds them, or once they serve. INVALID_ARGUMENT.
  absl::StatusOr<RouterSet::Routers> Connect(const config::v1::Gateway& config);
  // They are the ones that serve from here on: the others are not counted any more.
  void Serve(const RouterSet::Routers& routers);

 private:
  // What health said of one router last. Shared with its watch.
  struct Watched {
    bool healthy = false;
    bool serves = false;
  };
  // Whoever asked to connect holds the router, or `serving_`: a configuration that is refused
  // leaves no connection.
  struct Known {
    std::weak_ptr<const Router> router;
    std::shared_ptr<Watched> watched;
  };
  // Shared with the watches of routers, which may speak while the connector ends.
  struct Counter {
    Mutex mutex;
    OnHealthy on_healthy ABSL_GUARDED_BY(mutex);
    int healthy ABSL_GUARDED_BY(mutex) = 0;
  };

  // `server_name`: whose certificate it shows. Empty: the address's.
  absl::StatusOr<std::shared_ptr<const Router>> One(const config::v1::Endpoint& endpoint,
                                                    const std::string& server_name);
  absl::StatusOr<Known> Make(const config::v1::Endpoint& endpoint, const std::string& server_name,
                             std::shared_ptr<const Router>& router) const;

  ClientQueues& queues_;
  const uint64_t max_message_bytes_;
  const std::shared_ptr<grpc::Channel> in_process_;
  EndpointNames& names_;
  const std::shared_ptr<Counter> counter_;
  Mutex mutex_;
  std::map<std::string, Known> known_ ABSL_GUARDED_BY(mutex_);  // by endpoint and server name
  RouterSet::Routers serving_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
