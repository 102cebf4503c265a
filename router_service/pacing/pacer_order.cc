#include "router_service/pacing/pacer_order.h"

#include <utility>

namespace penstock::router {

double PacerOrder::NotedLedger::Add(const std::string& key, const BudgetWindow& window,
                                    double amount) {
  const double total = ledger_.Add(key, window, amount);
  if (event != nullptr) event->add_totals(total);
  return total;
}

bool PacerOrder::NotedLedger::TryAdd(const std::string& key, const BudgetWindow& window,
                                     double amount, double limit) {
  const bool added = ledger_.TryAdd(key, window, amount, limit);
  if (event != nullptr) event->add_totals(added ? 1 : 0);
  return added;
}

double PacerOrder::NotedLedger::Total(const std::string& key, const BudgetWindow& window) const {
  const double total = ledger_.Total(key, window);
  if (event != nullptr) event->add_totals(total);
  return total;
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
