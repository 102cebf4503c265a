#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/net/infer_call.h"
#include "common/time/clock.h"
#include "gateway/forwarding/forwarder.h"

namespace penstock::cli {

struct LoadPlan {
  std::string pool;
  std::vector<Bytes> requests;  // sent in turn; at least one
  Metadata metadata;
  // Open loop: requests a second, by a Poisson process or evenly. 0: closed loop.
  double rate = 0;
  bool poisson = true;
  // Closed loop: requests in flight. Open loop: a limit on them, above which a request that is due
  // counts as an error `NOT_SENT`.
  size_t outstanding = 1;
  // Ends after whichever comes first; 0: no such limit (one must be set).
  uint64_t count = 0;
  absl::Duration duration = absl::InfiniteDuration();
  absl::Duration timeout = absl::Seconds(30);
  double latency_budget_ms = 0;  // answers within it are deadline hits; 0: none
  uint64_t seed = 1;
};

struct LoadResult {
  uint64_t scheduled = 0;
  uint64_t answered = 0;  // OK
  uint64_t retried = 0;   // second attempts, at another target
  std::map<std::string, uint64_t> errors;  // by gRPC code's name
  // OK answers, ascending. From the scheduled time, so that a stall shows in every request that was
  // due during it (no coordinated omission).
  std::vector<double> latency_ms;
  double energy_j = 0;
  uint64_t energy_known = 0;  // answers that said their joules
  uint64_t deadline_hits = 0;
  std::map<std::string, uint64_t> experts;  // who answered
  double seconds = 0;

  double Quantile(double q) const;
  uint64_t ErrorCount() const;
};

// What became of one request.
struct FinishedRequest {
  absl::Time due;
  absl::Time ended;
  bool sent = true;  // false: too many were in flight; `status` says so
  absl::Status status;
  std::string target;  // who said so last, where a NamingTarget tells
};
inline constexpr char kNotSent[] = "NOT_SENT";

// Sends the plan's requests to whichever target is healthy and least loaded, as a good client of
// several gateways does: with one retry elsewhere. Blocks until all are answered.
class LoadGenerator {
 public:
  // Called now and then with the share done, in [0, 1].
  using OnProgress = std::function<void(double)>;
  // Called for every request as it ends, on any thread, before Run returns; null: not called.
  using OnFinished = std::function<void(const FinishedRequest&)>;

  LoadGenerator(gateway::Forwarder& forwarder, const Clock& clock)
      : forwarder_(forwarder), clock_(clock) {}
  LoadResult Run(const LoadPlan& plan, const OnProgress& on_progress,
                 const OnFinished& on_finished = nullptr);

 private:
  gateway::Forwarder& forwarder_;
  const Clock& clock_;
};

}  // namespace penstock::cli
