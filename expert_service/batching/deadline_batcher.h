#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "expert_service/batching/latency_model.h"

namespace penstock::expert {

// A request that waits for its batch. Its rows stay together.
struct QueuedRequest {
  virtual ~QueuedRequest() = default;

  int64_t rows = 1;
  int64_t size = 1;  // what latency grows with: rows, times positions where these vary
  absl::Time deadline = absl::InfiniteFuture();
  absl::Time enqueued;  // set by Add

 private:
  friend class DeadlineBatcher;
  std::pair<absl::Time, uint64_t> order;  // place in the queue while waiting
  bool waiting = false;
  bool probe = false;  // runs whatever the prediction
};

// The queue of one model, and when which of it runs. Earliest deadline first; a request without a
// deadline, or with a distant one, is treated as due kPatience after it came, so nobody starves.
//
// What cannot be met any more (deadline before now + mean latency of the request alone) is refused
// on arrival and dropped when picking, so it takes no time from those that can. Where predictions
// have refused everything for kProbe, one request runs all the same: a prediction that nothing can
// contradict would refuse for ever. Batches grow in
// queue order while the 0.99 quantile of the predicted latency keeps every deadline in them; the
// first always runs. A batch that could grow waits for company until its oldest request has waited
// max_delay, or one more row would endanger a deadline.
//
// Under overload, earliest deadline first alone would serve, one by one, requests that are all
// about to be late. Where a deadline keeps the batch small and the queue cannot all be met any
// more, the batch of those with more time runs instead if it answers more rows a second. Not
// thread-safe.
class DeadlineBatcher {
 public:
  static constexpr absl::Duration kPatience = absl::Seconds(1);
  static constexpr absl::Duration kProbe = absl::Seconds(1);

  struct Options {
    std::string model;  // for messages
    int64_t max_rows = 64;
    absl::Duration max_delay;
    int64_t max_queue = 1024;
    // Between waking and running: subtracted from every slack.
    absl::Duration margin = absl::Microseconds(100);
  };
  using Requests = std::vector<std::shared_ptr<QueuedRequest>>;

  struct Decision {
    Requests dropped;  // cannot meet their deadline
    Requests batch;    // to run now
    // Where the batch is empty: ask again at this time, or after an Add if that comes first.
    absl::Time wait_until = absl::InfiniteFuture();
  };

  explicit DeadlineBatcher(Options options) : options_(std::move(options)) {}

  // RESOURCE_EXHAUSTED when the queue is full, DEADLINE_EXCEEDED when there is no time left for it.
  absl::Status Add(std::shared_ptr<QueuedRequest> request, absl::Time now);
  // True if it was waiting; it never runs then.
  bool Remove(QueuedRequest& request);
  Decision Pick(absl::Time now);
  // Everything that waits, in order, removed.
  Requests TakeAll();

  // The due time of the first in the queue; infinite when empty. Orders queues among each other.
  absl::Time due() const;
  int64_t depth() const { return static_cast<int64_t>(queue_.size()); }
  // How long what waits will take one worker.
  absl::Duration Backlog() const;
  // Why `request` was dropped.
  absl::Status LateStatus(const QueuedRequest& request, absl::Time now) const;

  LatencyModel& latency() { return latency_; }
  const LatencyModel& latency() const { return latency_; }

 private:
  using Order = std::pair<absl::Time, uint64_t>;

  // Requests, in queue order, that may run together.
  struct Candidates {
    std::vector<Order> orders;
    int64_t rows = 0;
    int64_t size = 0;
    absl::Time first_deadline = absl::InfiniteFuture();
    absl::Time oldest = absl::InfiniteFuture();
    bool limited_by_deadline = false;
  };

  // Of a batch of max_rows, were all like the first in the queue.
  int64_t FullSize() const;
  Candidates InOrder(absl::Time now) const;
  Candidates WithTime(absl::Time now) const;
  bool Overloaded(absl::Time start, const Candidates& first) const;
  double RowsPerSecond(const Candidates& candidates) const;
  bool Late(const QueuedRequest& request, absl::Time now) const;
  std::shared_ptr<QueuedRequest> Take(const Order& order);
  void DropLate(absl::Time now, Requests& dropped);

  const Options options_;
  LatencyModel latency_;
  // Since when predictions have refused requests without one that ran.
  absl::Time refusing_since_ = absl::InfiniteFuture();
  uint64_t next_sequence_ = 0;
  int64_t size_waiting_ = 0;
  std::map<Order, std::shared_ptr<QueuedRequest>> queue_;
  std::map<Order, Order> by_deadline_;  // real deadline -> place in queue_
};

}  // namespace penstock::expert
