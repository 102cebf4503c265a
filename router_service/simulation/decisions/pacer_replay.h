#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/time/clock.h"
#include "penstock/v1/replay.pb.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/simulation/decisions/mismatch.h"

namespace penstock::router {

// A router's budgets again, by its own pacer on the log's clock: each event is done again, and what
// it says is compared. After a gap in the events' sequence nothing is known until the router starts
// anew.
class PacerReplay {
 public:
  // What became of one request.
  struct Request {
    std::string pool, tenant;
    bool refused = false;
    bool sure = true;  // all of its events came out as logged
    bool decided = false;
    Reservation reservation;
    // What it was told, as replayed, by the event's sequence.
    std::vector<std::pair<uint64_t, BudgetTerms>> views;
  };

  explicit PacerReplay(Mismatches& mismatches) : mismatches_(mismatches) {}

  void Apply(const v1::PacerEvent& event);

  // The request of an `open` event; its decision was made, and is asked for once. Unset: it is not
  // known, for want of events.
  struct Decided {
    bool refused = false;
    bool sure = true;
    std::string pool, tenant;
    std::vector<std::pair<uint64_t, BudgetTerms>> views;
  };
  std::optional<Decided> Decide(uint64_t request);

  // Events that are missing between others.
  uint64_t lost() const { return lost_; }
  // The log ends where the router did; with this many lines lost.
  std::optional<uint64_t> ended() const { return ended_; }
  // Requests that came, and were not refused, and have no decision.
  uint64_t undecided() const { return undecided_; }
  // Starts without which events came, so that they say nothing.
  bool headless() const { return headless_; }

 private:
  class LoggedClock final : public Clock {
   public:
    absl::Time Now() const override { return now; }
    absl::Time now;
  };
  // Answers what the log has.
  class LoggedLedger final : public WindowLedger {
   public:
    void Keep(const std::string&, absl::Duration, int64_t, int) override {}
    void Forget(const std::string&) override {}
    WindowAnswer Reserve(const std::string& key, const BudgetWindow& window, int64_t amount,
                         int64_t cap) override;
    void Settle(const std::string&, const BudgetWindow&, int64_t, int64_t) override {}
    int64_t Left(const std::string& key, const BudgetWindow& window, int64_t cap) const override;
    Counts Count(const std::string& key, const BudgetWindow& window) const override;

    mutable std::deque<int64_t> answers;
    mutable bool asked_too_often = false;

   private:
    int64_t Next() const;
  };

  void Do(const v1::PacerEvent& event);
  void Start(const v1::PacerStart& start);
  void SetBudget(const v1::BudgetChange& change);
  void SetShare(const v1::BudgetShare& share);
  void Open(const v1::PacerEvent& event);
  void View(const v1::PacerEvent& event);
  void Hold(const v1::JouleHold& hold);
  void NoteOptions(const v1::PacerEvent& event);
  void AdoptLevel(const v1::LevelAdopted& level);
  // Null, and noted: the log has no such request.
  Request* Find(uint64_t request);
  void Check(bool same, Request* request);

  Mismatches& mismatches_;
  LoggedClock clock_;
  LoggedLedger ledger_;
  std::unique_ptr<BudgetPacer> pacer_;  // null: nothing is known
  absl::flat_hash_map<uint64_t, Request> requests_;
  absl::flat_hash_map<uint64_t, std::vector<DueLevel>> due_;  // by sequence of the options
  std::string where_;                                         // the event under way
  uint64_t last_ = 0;
  uint64_t lost_ = 0;
  uint64_t undecided_ = 0;
  bool headless_ = false;
  std::optional<uint64_t> ended_;
};

}  // namespace penstock::router
