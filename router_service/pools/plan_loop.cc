#include "router_service/pools/plan_loop.h"

#include <algorithm>
#include <utility>

namespace penstock::router {

PlanLoop::PlanLoop(const PoolCatalogue& catalogue, OnPlan on_plan)
    : catalogue_(catalogue), on_plan_(std::move(on_plan)) {}

void PlanLoop::Start() {
  if (thread_.joinable()) return;
  const auto pools = catalogue_.All();
  if (std::none_of(pools.begin(), pools.end(), [](const std::shared_ptr<const Pool>& pool) {
        return pool->record->planner != nullptr;
      })) {
    return;
  }
  thread_ = std::thread([this] {
    while (!stop_.WaitWithTimeout(kInterval)) Tick();
  });
}

void PlanLoop::Stop() {
  stop_.Notify();
  if (thread_.joinable()) thread_.join();
}

void PlanLoop::Tick() {
  for (const std::shared_ptr<const Pool>& pool : catalogue_.All()) {
    PoolPlanner* const planner = pool->record->planner.get();
    if (planner == nullptr || pool->rooms == nullptr) continue;
    PlanningView view;
    for (const PoolExpert& expert : pool->experts) {
      view.available.push_back(expert.admitted && expert.available());
    }
    view.rooms_version = reinterpret_cast<uintptr_t>(pool->rooms.get());
    if (const auto plan = planner->Tick(view)) on_plan_(*pool, *plan);
  }
}

}  // namespace penstock::router
