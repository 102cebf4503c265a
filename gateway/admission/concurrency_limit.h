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
// A limit that lowers throughput, of answers in time, more than latency was not what made answers
// slow. It goes back to where it was, and the least latency counts as twice what it was taken for
// once that has happened twice with no window on target in between: means are noisy. Nor is anything judged
// before as many requests have ended as were in flight when a limit fell.
//
// Where deadlines are stated of which the least latency would miss all but a few, nothing can be
// told, and no limit rises. While the least latency is not known, late requests count against half
// of what they were allowed: a flood may be all that a pool has seen.
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

  // A request that was one of `in_flight` was answered after `took`. `allowed`: infinite without a
  // deadline.
  void Answered(absl::Duration took, absl::Duration allowed, uint32_t in_flight, absl::Time now) {
    Count(took, allowed, in_flight, now, /*late=*/false);
  }
  // It had no answer when it was too late, and TellsOfThePace.
  void Late(absl::Duration took, absl::Duration allowed, uint32_t in_flight, absl::Time now) {
    Count(took, allowed, in_flight, now, /*late=*/true);
  }
  // Not so one that was refused at once, for the little time that its caller left.
  bool TellsOfThePace(absl::Duration late_after, absl::Duration allowed) const;
  // One ended in a way that tells nothing of the platform's pace: it failed, or never got there.
  void Ended();

 private:
  struct Window {
    absl::Time opened = absl::InfiniteFuture();
    uint32_t answers = 0;  // and those that were late
    double log_seconds = 0;
    double in_flight = 0;
    uint32_t late = 0;
    double log_late_seconds = 0;
    uint32_t stated = 0;  // with a deadline
    // Of those whose deadlines can be kept at the least latency; while that is not known, of all
    // with a deadline.
    uint32_t promised = 0;
    double log_promised_seconds = 0;
    double log_target_seconds = 0;
  };
  // What was before the limit fell.
  struct Fall {
    double limit = 0;  // 0: there is nothing to judge
    double in_flight = 0;
    double goodput = 0;  // answers a second, without those that were late
  };

  void Count(absl::Duration took, absl::Duration allowed, uint32_t in_flight, absl::Time now,
             bool late);
  void Close(uint32_t in_flight_now, absl::Time now);
  // True where the last fall did not help, and was undone.
  bool Undone(double seconds, double in_flight, double goodput);
  // From the answers of a window, where it has enough of them.
  void LearnLeast(const Window& window, double target);

  Options options_;
  double limit_;
  double least_seconds_;
  bool bound_ = false;
  uint32_t settling_ = 0;  // ends that are waited for before a window opens
  Window window_;
  Fall fall_;
  uint32_t undone_ = 0;  // falls since a window was on target
};

}  // namespace penstock::gateway
