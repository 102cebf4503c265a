#include "router_service/pacing/pacer_order.h"

#include <utility>

namespace penstock::router {

void PacerOrder::NotedLedger::Keep(const std::string& key, absl::Duration length, int64_t cap,
                                   int earlier) {
  ledger_.Keep(key, length, cap, earlier);
}

void PacerOrder::NotedLedger::Forget(const std::string& key) { ledger_.Forget(key); }

WindowAnswer PacerOrder::NotedLedger::Reserve(const std::string& key, const BudgetWindow& window,
                                              int64_t amount, int64_t cap) {
  const WindowAnswer answer = ledger_.Reserve(key, window, amount, cap);
  if (event != nullptr) event->add_window_answers(static_cast<int64_t>(answer));
  return answer;
}

void PacerOrder::NotedLedger::Settle(const std::string& key, const BudgetWindow& window,
                                     int64_t reserved, int64_t spent) {
  ledger_.Settle(key, window, reserved, spent);
}

int64_t PacerOrder::NotedLedger::Left(const std::string& key, const BudgetWindow& window,
                                      int64_t cap) const {
  const int64_t left = ledger_.Left(key, window, cap);
  if (event != nullptr) event->add_window_answers(left);
  return left;
}

WindowLedger::Counts PacerOrder::NotedLedger::Count(const std::string& key,
                                                    const BudgetWindow& window) const {
  const Counts counts = ledger_.Count(key, window);
  if (event != nullptr) {
    event->add_window_answers(counts.settled);
    event->add_window_answers(counts.reserved);
  }
  return counts;
}

PacerOrder::PacerOrder(const Clock& clock, WindowLedger& windows, PacerJournal& journal)
    : clock_(clock), journal_(&journal), windows_(windows) {}

void PacerOrder::Close() {
  MutexLock lock(mutex_);
  journal_ = nullptr;
}

PacerOperation::PacerOperation(PacerOrder* order) : order_(order) {
  if (order == nullptr) return;
  order->mutex_.Lock();
  // As it is written down.
  const int64_t nanos = absl::ToUnixNanos(order->clock_.Now());
  order->time_.now = absl::FromUnixNanos(nanos);
  if (order->journal_ == nullptr) return;
  event_ = std::make_shared<v1::PacerEvent>();
  event_->set_sequence(++order->sequence_);
  event_->set_time_ns(nanos);
  order->windows_.event = event_.get();
}

PacerOperation::~PacerOperation() {
  if (order_ == nullptr) return;
  if (event_ != nullptr) {
    order_->windows_.event = nullptr;
    order_->journal_->Record(std::move(event_));
  }
  order_->mutex_.Unlock();
}

}  // namespace penstock::router
