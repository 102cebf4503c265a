#pragma once

#include <memory>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/notification.h"
#include "router_service/pools/pool_catalogue.h"

namespace penstock::router {

// Plans pools anew, off the request path, whenever what their plans stand on has changed: looks
// once a second, on a thread of its own, since a search may take its whole time limit.
class PlanLoop {
 public:
  // A plan was made. Runs on the loop's thread.
  using OnPlan = absl::AnyInvocable<void(const Pool& pool, const AdmissionPlan& plan)>;

  // Both outlive the loop.
  PlanLoop(const PoolCatalogue& catalogue, OnPlan on_plan);
  ~PlanLoop() { Stop(); }

  // Starts no thread where no pool plans, and none where there is one: again once pools were added.
  void Start();
  void Stop();
  // Looks at every pool, once.
  void Tick();

 private:
  static constexpr absl::Duration kInterval = absl::Seconds(1);

  const PoolCatalogue& catalogue_;
  OnPlan on_plan_;
  Notification stop_;
  std::thread thread_;
};

}  // namespace penstock::router
