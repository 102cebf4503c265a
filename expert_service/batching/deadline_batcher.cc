#include "expert_service/batching/deadline_batcher.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace penstock::expert {

absl::Status DeadlineBatcher::Add(std::shared_ptr<QueuedRequest> request, absl::Time now) {
  if (Late(*request, now)) {
    refusing_since_ = std::min(refusing_since_, now);
    if (request->deadline <= now || now - refusing_since_ < kProbe) {
      return LateStatus(*request, now);
    }
    request->probe = true;
    refusing_since_ = now;
  }
  if (depth() >= options_.max_queue) {
    return absl::ResourceExhaustedError(absl::StrCat("model ", options_.model, ": ", depth(),
                                                     " requests wait already, at most ",
                                                     options_.max_queue, " may"));
  }
  request->enqueued = now;
  request->order = {std::min(request->deadline, now + kPatience), next_sequence_++};
  request->waiting = true;
  by_deadline_.emplace(Order{request->deadline, request->order.second}, request->order);
  size_waiting_ += request->size;
  const Order order = request->order;
  queue_.emplace(order, std::move(request));
  return absl::OkStatus();
}

bool DeadlineBatcher::Remove(QueuedRequest& request) {
  if (!request.waiting) return false;
  Take(Order(request.order));
  return true;
}

std::shared_ptr<QueuedRequest> DeadlineBatcher::Take(const Order& order) {
  const auto it = queue_.find(order);
  std::shared_ptr<QueuedRequest> request = std::move(it->second);
  queue_.erase(it);
  by_deadline_.erase({request->deadline, order.second});
  size_waiting_ -= request->size;
  request->waiting = false;
  return request;
}

bool DeadlineBatcher::Late(const QueuedRequest& request, absl::Time now) const {
  if (request.deadline <= now) return true;
  return !request.probe && request.deadline < now + latency_.Mean(request.size);
}

absl::Status DeadlineBatcher::LateStatus(const QueuedRequest& request, absl::Time now) const {
  return absl::DeadlineExceededError(absl::StrCat(
      "model ", options_.model, " needs about ", absl::FormatDuration(latency_.Mean(request.size)),
      " for ", request.rows, request.rows == 1 ? " row" : " rows", ", the deadline is in ",
      absl::FormatDuration(request.deadline - now)));
}

void DeadlineBatcher::DropLate(absl::Time now, Requests& dropped) {
  // Beyond this deadline nobody is late, whatever their size.
  const absl::Time horizon = now + latency_.Mean(std::max<int64_t>(size_waiting_, 1));
  for (auto it = by_deadline_.begin(); it != by_deadline_.end() && it->first.first <= horizon;) {
    const Order order = it->second;
    ++it;
    if (Late(*queue_.find(order)->second, now)) dropped.push_back(Take(order));
  }
}

int64_t DeadlineBatcher::FullSize() const {
  const QueuedRequest& head = *queue_.begin()->second;
  return options_.max_rows * head.size / head.rows;
}

// As long as every deadline in the batch holds.
DeadlineBatcher::Candidates DeadlineBatcher::InOrder(absl::Time now) const {
  Candidates batch;
  for (const auto& [order, request] : queue_) {
    if (!batch.orders.empty()) {
      if (batch.rows + request->rows > options_.max_rows) break;
      const absl::Time strictest = std::min(batch.first_deadline, request->deadline);
      if (now + latency_.Upper(batch.size + request->size) > strictest) {
        batch.limited_by_deadline = true;
        break;
      }
    }
    batch.orders.push_back(order);
    batch.rows += request->rows;
    batch.size += request->size;
    batch.first_deadline = std::min(batch.first_deadline, request->deadline);
    batch.oldest = std::min(batch.oldest, request->enqueued);
  }
  return batch;
}

// The fullest batch of those who can wait for a full one.
DeadlineBatcher::Candidates DeadlineBatcher::WithTime(absl::Time now) const {
  const absl::Time done = now + latency_.Upper(std::min(size_waiting_, FullSize()));
  Candidates batch;
  for (const auto& [order, request] : queue_) {
    if (request->deadline < done) continue;
    if (batch.rows + request->rows > options_.max_rows ||
        now + latency_.Upper(batch.size + request->size) >
            std::min(batch.first_deadline, request->deadline)) {
      break;
    }
    batch.orders.push_back(order);
    batch.rows += request->rows;
    batch.size += request->size;
    batch.first_deadline = std::min(batch.first_deadline, request->deadline);
  }
  return batch;
}

// Whether somebody behind `first` will be late although full batches follow it from `start` on.
bool DeadlineBatcher::Overloaded(absl::Time start, const Candidates& first) const {
  const absl::Duration full = latency_.Mean(FullSize());
  int64_t rows = 0;
  size_t skip = first.orders.size();
  absl::Time done = start + full;
  for (const auto& [order, request] : queue_) {
    if (skip > 0) {
      --skip;
      continue;
    }
    rows += request->rows;
    if (rows > options_.max_rows) {
      rows = request->rows;
      done += full;
    }
    if (request->deadline < done) return true;
  }
  return false;
}

double DeadlineBatcher::RowsPerSecond(const Candidates& candidates) const {
  return static_cast<double>(candidates.rows) /
         std::max(absl::ToDoubleSeconds(latency_.Mean(candidates.size)), 1e-9);
}

DeadlineBatcher::Decision DeadlineBatcher::Pick(absl::Time now) {
  Decision decision;
  DropLate(now, decision.dropped);
  if (queue_.empty()) return decision;

  Candidates batch = InOrder(now);
  if (batch.limited_by_deadline && Overloaded(now + latency_.Mean(batch.size), batch)) {
    Candidates other = WithTime(now);
    if (!other.orders.empty() && RowsPerSecond(other) > RowsPerSecond(batch)) {
      batch = std::move(other);
    }
  }
  const bool could_grow = batch.orders.size() == queue_.size() && batch.rows < options_.max_rows;
  if (could_grow && options_.max_delay > absl::ZeroDuration()) {
    const absl::Time slack_ends =
        batch.first_deadline - latency_.Upper(batch.size + 1) - options_.margin;
    const absl::Time until = std::min(batch.oldest + options_.max_delay, slack_ends);
    if (now < until) {
      decision.wait_until = until;
      return decision;
    }
  }
  refusing_since_ = absl::InfiniteFuture();
  for (const Order& order : batch.orders) decision.batch.push_back(Take(order));
  return decision;
}

DeadlineBatcher::Requests DeadlineBatcher::TakeAll() {
  Requests all;
  while (!queue_.empty()) all.push_back(Take(Order(queue_.begin()->first)));
  return all;
}

absl::Time DeadlineBatcher::due() const {
  return queue_.empty() ? absl::InfiniteFuture() : queue_.begin()->first.first;
}

absl::Duration DeadlineBatcher::Backlog() const { return latency_.Mean(size_waiting_); }

}  // namespace penstock::expert
