#include "gateway/forwarding/router_connector.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::gateway {

RouterConnector::RouterConnector(ClientQueues& queues, uint64_t max_message_bytes,
                                 std::shared_ptr<grpc::Channel> in_process, EndpointNames& names,
                                 OnHealthy on_healthy)
    : queues_(queues),
      max_message_bytes_(max_message_bytes),
      in_process_(std::move(in_process)),
      names_(names),
      counter_(std::make_shared<Counter>()) {
  MutexLock lock(counter_->mutex);
  counter_->on_healthy = std::move(on_healthy);
}

RouterConnector::~RouterConnector() {
  MutexLock lock(counter_->mutex);
  counter_->on_healthy = [](int) {};
}

absl::StatusOr<RouterSet::Routers> RouterConnector::Connect(const config::v1::Gateway& config) {
  std::vector<config::v1::Endpoint> endpoints(config.routers().begin(), config.routers().end());
  if (endpoints.empty()) endpoints.emplace_back().set_address(kInprocessRouter);
  RouterSet::Routers routers;
  for (config::v1::Endpoint& endpoint : endpoints) {
    if (!EndpointNames::IsName(endpoint.address())) {
      PENSTOCK_ASSIGN_OR_RETURN(routers.emplace_back(), One(endpoint, ""));
      continue;
    }
    const std::string name = endpoint.address();
    for (const std::string& address : names_.AddressesOf(name)) {
      endpoint.set_address(address);
      PENSTOCK_ASSIGN_OR_RETURN(routers.emplace_back(),
                                One(endpoint, EndpointNames::HostOf(name)));
    }
  }
  return routers;
}

absl::StatusOr<std::shared_ptr<const Router>> RouterConnector::One(
    const config::v1::Endpoint& endpoint, const std::string& server_name) {
  const std::string key = absl::StrCat(endpoint.SerializeAsString(), "/", server_name);
  std::shared_ptr<const Router> router;
  {
    MutexLock lock(mutex_);
    for (auto it = known_.begin(); it != known_.end();) {
      it = it->second.router.expired() ? known_.erase(it) : std::next(it);
    }
    const auto known = known_.find(key);
    if (known != known_.end()) router = known->second.router.lock();
  }
  if (router != nullptr) return router;
  PENSTOCK_ASSIGN_OR_RETURN(Known made, Make(endpoint, server_name, router));
  std::shared_ptr<const Router> first;  // of somebody who asked at the same time
  MutexLock lock(mutex_);
  Known& known = known_[key];
  first = known.router.lock();
  if (first != nullptr) return first;
  known = std::move(made);
  return router;
}

absl::StatusOr<RouterConnector::Known> RouterConnector::Make(
    const config::v1::Endpoint& endpoint, const std::string& server_name,
    std::shared_ptr<const Router>& router) const {
  auto watched = std::make_shared<Watched>();
  InferTargetOptions options;
  options.max_message_bytes = max_message_bytes_;
  options.server_name = server_name;
  options.pings_permitted = true;
  options.on_health = [counter = counter_, watched](bool healthy) {
    MutexLock lock(counter->mutex);
    if (watched->serves) counter->healthy += (healthy ? 1 : 0) - (watched->healthy ? 1 : 0);
    watched->healthy = healthy;
    if (watched->serves) counter->on_healthy(counter->healthy);
  };
  std::shared_ptr<GrpcInferTarget> target;
  if (endpoint.address() == kInprocessRouter) {
    target = GrpcInferTarget::Over(in_process_, kInprocessRouter, queues_, std::move(options));
  } else {
    PENSTOCK_ASSIGN_OR_RETURN(target,
                              GrpcInferTarget::Create(endpoint, queues_, std::move(options)));
  }
  router = std::make_shared<const Router>(std::move(target));
  return Known{router, std::move(watched)};
}

void RouterConnector::Serve(const RouterSet::Routers& routers) {
  // What is let go of here ends after the locks: its watch may be speaking, and wait for one.
  RouterSet::Routers before = routers, held;
  MutexLock lock(mutex_);
  before.swap(serving_);
  MutexLock counting(counter_->mutex);
  counter_->healthy = 0;
  for (const auto& [key, known] : known_) {
    held.push_back(known.router.lock());
    known.watched->serves =
        held.back() != nullptr &&
        std::find(routers.begin(), routers.end(), held.back()) != routers.end();
    if (known.watched->serves && known.watched->healthy) ++counter_->healthy;
  }
  counter_->on_healthy(counter_->healthy);
}

}  // namespace penstock::gateway
