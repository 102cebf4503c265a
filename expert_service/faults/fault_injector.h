#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "penstock/config/v1/expert.pb.h"

namespace penstock::expert {

// Holds, stalls and fails requests on purpose before the service sees them, so that what stands in
// front of it can be tested. Which ones are hit is a function of (seed, sequence number). No thread
// waits: a held request is a timer, and a client that goes away ends it. Thread-safe.
class FaultInjector final : public InferHandler {
 public:
  struct Options {
    absl::Duration hold;      // every request
    size_t slots = 0;         // held at once, the others wait; 0: no limit
    double stall_share = 0;   // of requests
    double stall_factor = 1;  // a stalled request takes so many times the median
    double fail_share = 0;    // of requests
    absl::StatusCode fail_code = absl::StatusCode::kUnavailable;
    uint64_t seed = 0;

    std::string ToString() const;  // for a log line
  };
  // Requests held at once; more are refused.
  static constexpr size_t kMostHeld = 4096;

  // INVALID_ARGUMENT names the field.
  static absl::StatusOr<Options> ReadOptions(const config::v1::Fault& config);

  // All arguments outlive the injector and its calls.
  FaultInjector(const Options& options, InferHandler& service, const Clock& clock, Timers& timers);
  ~FaultInjector() override;

  void ModelInfer(std::shared_ptr<IncomingCall> call) override;
  // Requests that are held are answered UNAVAILABLE, and so are those that come. None that was held
  // is on its way into the service once this returns.
  void Stop();

 private:
  class Call;
  struct Held {
    std::shared_ptr<Call> call;
    absl::Duration delay;
    Timers::Id timer = 0;  // 0: it waits for a slot
  };

  void Hold(std::shared_ptr<Call> call, absl::Duration delay);
  // Those who wait, while there are slots.
  void FillSlots() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Release(uint64_t id);
  // The client has gone.
  void Drop(uint64_t id);
  void Observe(absl::Duration latency);
  // Of requests of late that did not stall; none yet: `hold`.
  absl::Duration Median() const;

  const Options options_;
  InferHandler& service_;
  const Clock& clock_;
  Timers& timers_;
  std::atomic<uint64_t> next_{0};
  mutable Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  CondVar released_;
  int releasing_ ABSL_GUARDED_BY(mutex_) = 0;  // on their way into the service
  uint64_t next_held_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, Held> held_ ABSL_GUARDED_BY(mutex_);
  std::set<uint64_t> waiting_ ABSL_GUARDED_BY(mutex_);  // of those, for a slot
  std::array<double, 63> seconds_ ABSL_GUARDED_BY(mutex_) = {};  // a ring, once it is full
  size_t observed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock::expert
