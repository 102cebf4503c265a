#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "penstock/v1/replay.pb.h"
#include "router_service/pacing/pacer_journal.h"
#include "router_service/pacing/window_ledger.h"

namespace penstock::router {

// Makes one total order of what a pacer's threads do, so that a journal of it suffices to do it
// again: one operation at a time, the time stands still in it, and what the windows' ledger answers
// is written down with it (others may count there too). Only a pacer with a journal has one.
class PacerOrder {
 public:
  PacerOrder(const Clock& clock, WindowLedger& windows, PacerJournal& journal);

  // For the budgets, within operations only.
  const Clock& clock() const { return time_; }
  WindowLedger& windows() { return windows_; }

  // From here on nothing is written down: the journal may go, though reservations may be left.
  void Close();

 private:
  friend class PacerOperation;

  class StandingClock final : public Clock {
   public:
    absl::Time Now() const override { return now; }
    absl::Time now;
  };
  // Passes on to the pacer's ledger, and writes down what it answers.
  class NotedLedger final : public WindowLedger {
   public:
    explicit NotedLedger(WindowLedger& ledger) : ledger_(ledger) {}
    void Keep(const std::string& key, absl::Duration length, int64_t cap, int earlier) override;
    void Forget(const std::string& key) override;
    WindowAnswer Reserve(const std::string& key, const BudgetWindow& window, int64_t amount,
                         int64_t cap) override;
    void Settle(const std::string& key, const BudgetWindow& window, int64_t reserved,
                int64_t spent) override;
    int64_t Left(const std::string& key, const BudgetWindow& window, int64_t cap) const override;
    Counts Count(const std::string& key, const BudgetWindow& window) const override;

    v1::PacerEvent* event = nullptr;  // of the operation under way

   private:
    WindowLedger& ledger_;
  };

  const Clock& clock_;
  Mutex mutex_;
  PacerJournal* journal_ ABSL_GUARDED_BY(mutex_);  // null: closed
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  StandingClock time_;
  NotedLedger windows_;
};

// One operation, until the end of its scope. Of no order (null) it does nothing: a pacer without a
// journal pays a comparison.
class PacerOperation {
 public:
  explicit PacerOperation(PacerOrder* order) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  ~PacerOperation() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  PacerOperation(const PacerOperation&) = delete;
  PacerOperation& operator=(const PacerOperation&) = delete;

  // Null: it is not written down. Else to be filled in before the end of the scope.
  v1::PacerEvent* event() { return event_.get(); }
  uint64_t sequence() const { return event_ == nullptr ? 0 : event_->sequence(); }

 private:
  PacerOrder* const order_;
  std::shared_ptr<v1::PacerEvent> event_;
};

}  // namespace penstock::router
