#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace penstock::gateway {

// How many requests of one pool are forwarded at once, found from what became of those before. Of
// the family of latency-gradient limits (Netflix's Gradient2, Envoy's gradient controller, TCP
// Vegas). After a window of answers, where their latency is above the target,
//   limit <- min(limit, in flight) * clamp(target / latency, 1/4, 0.95), or target * rate if less
// and where it is not, and somebody waited,
//   limit <- limit * min(sqrt(target / latency), 3/2) + 1
// between `least` and `most`. Their target is a multiple of the least latency of late, which takes
// the batches of a busy platform, or dearer experts, for congestion and throttles what is well.
// Here it is what callers can bear:
//   target = clamp(2 * least latency, allowed / 2, 0.8 * allowed)
// with `allowed` the time from a request's arrival to its deadline: while answers take less than
// half of that no limit falls, and without deadlines there is nothing to miss. Means are of
// logarithms: a pool's latencies span decades, and a few long answers say little of the others.
//
// A limit that lowers throughput more than latency was not what made answers slow. It goes back to
// where it was, and the least latency counts as twice what it was taken for. Nor is anything judged
// before as many requests have ended as were in flight when a limit fell.
//
// Not thread-safe.
class ConcurrencyLimit {
 public:
  // Of a window: at least so many answers over so long.
  static constexpr uint32_t kFewest = 50;
  static constexpr absl::Duration kShortest = absl::Milliseconds(100);

  struct Options {
    bool adaptive = true;  // else the limit is `most`
    uint32_t least = 1;
    uint32_t most = 1;  // at least `least`
  };

  explicit ConcurrencyLimit(const Options& options);
  void Change(const Options& options);

  uint32_t limit() const;
  // The least mean latency of a window; infinite before the first one ends.
  absl::Duration least_latency() const { return absl::Seconds(least_seconds_); }

  // Somebody had to wait because of the limit.
  void Bound() { bound_ = true; }

  // A request that was one of `in_flight` was answered after `took`, or was late then. `allowed`:
  // infinite without a deadline.
  void Answered(absl::Duration took, absl::Duration allowed, uint32_t in_flight, absl::Time now);
  // One ended in a way that tells nothing of the platform's pace: it failed, or never got there.
  void Ended();

 private:
  struct Window {
    absl::Time opened = absl::InfiniteFuture();
    uint32_t answers = 0;
    double log_seconds = 0;
    double in_flight = 0;
    // Of those whose deadlines can be kept at the least latency.
    uint32_t promised = 0;
    double log_promised_seconds = 0;
    double log_target_seconds = 0;
  };
  // What was before the limit fell.
  struct Fall {
    double limit = 0;  // 0: there is nothing to judge
    double in_flight = 0;
    double rate = 0;  // answers a second
  };

  void Close(uint32_t in_flight_now, absl::Time now);
  // True where the last fall did not help, and was undone.
  bool Undone(double seconds, double in_flight, double rate);

  Options options_;
  double limit_;
  double least_seconds_;
  bool bound_ = false;
  uint32_t settling_ = 0;  // ends that are waited for before a window opens
  Window window_;
  Fall fall_;
};

}  // namespace penstock::gateway
