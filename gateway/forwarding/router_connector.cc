#include "gateway/forwarding/router_connector.h"

#include <algorithm>
#include <utility>

#include "common/status_macros.h"

namespace penstock::gateway {

RouterConnector::RouterConnector(ClientQueues& queues, uint64_t max_message_bytes,
                                 std::shared_ptr<grpc::Channel> in_process, OnHealthy on_healthy)
    : queues_(queues),
      max_message_bytes_(max_message_bytes),
      in_process_(std::move(in_process)),
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
  std::map<std::string, Known> before, fresh;
  {
    MutexLock lock(mutex_);
    before = known_;
  }
  RouterSet::Routers routers;
  for (const config::v1::Endpoint& endpoint : endpoints) {
    const std::string name = endpoint.SerializeAsString();
    const auto known = before.find(name);
    if (known != before.end()) {
      fresh[name] = known->second;
    } else if (fresh.count(name) == 0) {
      auto watched = std::make_shared<Watched>();
      InferTargetOptions options;
      options.max_message_bytes = max_message_bytes_;
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
      fresh[name] = {std::make_shared<const Router>(std::move(target)), std::move(watched)};
    }
    routers.push_back(fresh[name].router);
  }
  std::map<std::string, Fresh> held;
  for (const auto& [name, known] : fresh) held[name] = {known.router, known.watched};
  MutexLock lock(mutex_);
  fresh_.swap(held);
  return routers;
}

void RouterConnector::Serve(const RouterSet::Routers& routers) {
  std::map<std::string, Known> before;
  MutexLock lock(mutex_);
  before.swap(known_);
  for (const auto& [name, fresh] : fresh_) {
    const std::shared_ptr<const Router> router = fresh.router.lock();
    if (router != nullptr && std::find(routers.begin(), routers.end(), router) != routers.end()) {
      known_.insert({name, Known{router, fresh.watched}});
    }
  }
  fresh_.clear();
  MutexLock counting(counter_->mutex);
  for (const auto& [name, known] : before) known.watched->serves = false;
  counter_->healthy = 0;
  for (const auto& [name, known] : known_) {
    known.watched->serves = true;
    counter_->healthy += known.watched->healthy ? 1 : 0;
  }
  counter_->on_healthy(counter_->healthy);
}

}  // namespace penstock::gateway
