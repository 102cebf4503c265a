#pragma once

#include <atomic>
#include <cstdint>

namespace penstock::expert {

// Where the service is in its life; read by handlers on every call.
class Readiness {
 public:
  enum State : uint8_t { kWarmingUp, kReady, kDraining };

  void Set(State state) { state_.store(state, std::memory_order_release); }
  State state() const { return state_.load(std::memory_order_acquire); }
  bool ready() const { return state() == kReady; }
  // Requests are still taken while draining: those who watch need time to leave.
  bool takes_requests() const { return state() != kWarmingUp; }

 private:
  std::atomic<State> state_{kWarmingUp};
};

}  // namespace penstock::expert
