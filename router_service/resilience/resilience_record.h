#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "router_service/resilience/outlier_ejection.h"

namespace penstock::router {

// How it went when something that failed was, or would have been, asked again.
enum class RetryResult : uint8_t {
  kAnswered,
  kFailed,
  kNotNeeded,   // what was taken to be lost answered after all
  kNoBudget,    // the pool's retry budget is spent
  kNoReplica,   // no other replica to ask
  kNoTime,      // before the deadline
  kNoJoules,    // within the request's cap
  kPushedBack,  // the replica asked not to be asked again
};
inline constexpr size_t kRetryResults = 8;
absl::string_view RetryResultName(RetryResult result);  // "answered", "no_budget", ...

// What one pool's resilience did, since the pool's record began. Thread-safe.
class ResilienceRecord {
 public:
  explicit ResilienceRecord(size_t experts) : openings_(experts), ejections_(experts * 2) {}

  void Retried(RetryResult result) { Count(retries_[static_cast<size_t>(result)]); }
  void BreakerOpened(size_t expert) { Count(openings_[expert]); }
  void Ejected(size_t expert, EjectionReason reason) { Count(ejections_[At(expert, reason)]); }

  uint64_t retries(RetryResult result) const { return Read(retries_[static_cast<size_t>(result)]); }
  uint64_t openings(size_t expert) const { return Read(openings_[expert]); }
  uint64_t ejections(size_t expert, EjectionReason reason) const {
    return Read(ejections_[At(expert, reason)]);
  }

 private:
  using Counter = std::atomic<uint64_t>;
  static void Count(Counter& counter) { counter.fetch_add(1, std::memory_order_relaxed); }
  static uint64_t Read(const Counter& counter) { return counter.load(std::memory_order_relaxed); }
  static size_t At(size_t expert, EjectionReason reason) {
    return expert * 2 + (reason == EjectionReason::kLatency ? 1 : 0);
  }

  std::array<Counter, kRetryResults> retries_{};
  std::vector<Counter> openings_;   // by expert
  std::vector<Counter> ejections_;  // by expert and reason
};

}  // namespace penstock::router
