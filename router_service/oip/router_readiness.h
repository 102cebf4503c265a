#pragma once

#include <atomic>

#include "common/notification.h"

namespace penstock::router {

// Whether the router says that it serves: from the moment when its pools were ready
// (PoolCatalogue::ready), until the drain. One pool that loses its experts later is that pool's
// matter. Thread-safe.
class RouterReadiness {
 public:
  // True for the first call.
  bool SetReady() {
    if (ready_.exchange(true)) return false;
    was_ready_.Notify();
    return true;
  }
  void SetDraining() { draining_ = true; }
  bool serving() const { return ready_ && !draining_; }
  const Notification& was_ready() const { return was_ready_; }

 private:
  std::atomic<bool> ready_{false};
  std::atomic<bool> draining_{false};
  Notification was_ready_;
};

}  // namespace penstock::router
