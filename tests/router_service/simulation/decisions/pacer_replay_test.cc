#include "router_service/simulation/decisions/pacer_replay.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <set>
#include <thread>

#include "common/mutex.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/pacing/memory_window_ledger.h"
#include "tests/support/fake_clock.h"

namespace penstock::router {
namespace {

using config::v1::Budget;

// Keeps what is written down.
class KeptJournal final : public PacerJournal {
 public:
  void Record(std::shared_ptr<v1::PacerEvent> event) override {
    MutexLock lock(mutex_);
    events_.push_back(*event);
  }
  std::vector<v1::PacerEvent> events() {
    MutexLock lock(mutex_);
    return events_;
  }

 private:
  Mutex mutex_;
  std::vector<v1::PacerEvent> events_ ABSL_GUARDED_BY(mutex_);
};

Budget Of(double amount, Budget::Per per, Budget::Resource resource = Budget::JOULES) {
  Budget budget;
  budget.set_amount(amount);
  budget.set_per(per);
  budget.set_resource(resource);
  return budget;
}

class PacerReplayTest : public testing::Test {
 protected:
  struct Running {
    Reservation reservation;
    double joules = 0;
  };
  // In the order in which they came; several at once.
  using InFlight = std::deque<Running>;

  // Opens, looks, holds and notes what could have been done; then an earlier one is settled or
  // given back. Tenant zeta takes the dearer option whatever it costs.
  void Request(BudgetPacer& pacer, CounterRandom& random, FakeClock& clock, InFlight& running) {
    const bool zeta = random.Below(2) == 0;
    const std::string pool = random.Below(4) == 0 ? "other" : "pool";
    clock.Advance(absl::Microseconds(static_cast<int64_t>(random.Below(40'000))));
    absl::StatusOr<Reservation> opened = pacer.Open(pool, zeta ? "zeta" : "acme");
    if (!opened.ok()) return;
    const BudgetTerms terms = opened->terms();
    const PricedOption options[] = {
        {0.6 + 0.1 * random.Uniform(), 1, 0.005, 0.0005},
        {0.8 + 0.1 * random.Uniform(), 2 + 3 * random.Uniform(), 0.02, 0.002}};
    const double gain = options[1].quality - options[0].quality;
    const double more = options[1].energy_j - options[0].energy_j;
    const double others = terms.others.PriceOf(options[1].amounts()) -
                          terms.others.PriceOf(options[0].amounts());
    const bool dearer = zeta || gain > terms.price_per_joule * more + others;
    double joules = options[dearer ? 1 : 0].energy_j;
    if (!dearer || !opened->TryHold(options[1].amounts(), 40)) {
      if (!opened->Hold(options[0].amounts())) return;
      joules = options[0].energy_j;
    }
    opened->RecordDecision(0, options);
    running.push_back({*std::move(opened), joules});
    clock.Advance(absl::Microseconds(static_cast<int64_t>(random.Below(40'000))));
    if (running.size() < 4) return;
    Running& oldest = running.front();
    if (random.Below(4) == 0) oldest.reservation.Metered(1.4 * oldest.joules);
    if (random.Below(8) != 0) {  // else it never ran
      const double taken = oldest.joules * (0.8 + 0.5 * random.Uniform());
      oldest.reservation.Settle({taken, 0.01, 0.001});
    }
    running.pop_front();
  }

  // What other routers of these budgets did.
  void Share(BudgetPacer& pacer, CounterRandom& random, FakeClock& clock) {
    PlatformShare platform;
    platform.share = 0.2 + 0.6 * random.Uniform();
    platform.requests_elsewhere = 20 * random.Uniform();
    platform.spent_elsewhere = 4 * random.Uniform();
    platform.credit_correction = random.Uniform() - 0.5;
    platform.started = clock.Now() - absl::Nanoseconds(1'234'567'891);
    pacer.SetShare({"", "", Budget::JOULES, Budget::SECOND}, platform);
    pacer.SetShare({"pool", "zeta", Budget::JOULES, Budget::HOUR}, platform);
    pacer.SetShare({"pool", "", Budget::ACCELERATOR_SECONDS, Budget::HOUR}, platform);
    pacer.SetShare({"gone", "", Budget::JOULES, Budget::HOUR}, platform);
  }

  void SetBudgets(BudgetPacer& pacer) {
    Budget shared = Of(1.6, Budget::REQUEST);
    shared.set_bound_tenants(true);
    ASSERT_TRUE(pacer.SetBudget("pool", shared).ok());
    Budget hard = Of(150, Budget::SECOND);
    hard.set_hard(true);
    ASSERT_TRUE(pacer.SetBudget("", hard).ok());
    Budget of_tenant = Of(400, Budget::HOUR);
    of_tenant.set_tenant("zeta");
    ASSERT_TRUE(pacer.SetBudget("pool", of_tenant).ok());
    ASSERT_TRUE(pacer.SetBudget("", Of(300, Budget::SECOND, Budget::REQUESTS)).ok());
    ASSERT_TRUE(pacer.SetBudget("pool", Of(3600, Budget::HOUR, Budget::ACCELERATOR_SECONDS)).ok());
    ASSERT_TRUE(pacer.SetBudget("pool", Of(0.001, Budget::REQUEST, Budget::DOLLARS)).ok());
    pacer.SetIdleWatts("pool", 3);
  }

  Mismatches Replay(const std::vector<v1::PacerEvent>& events) {
    Mismatches mismatches;
    PacerReplay replay(mismatches);
    for (const v1::PacerEvent& event : events) replay.Apply(event);
    lost_ = replay.lost();
    return mismatches;
  }
  static std::string First(const Mismatches& mismatches) {
    if (mismatches.first().empty()) return "";
    const Mismatch& first = mismatches.first().front();
    return first.where + " " + first.what + ": " + first.logged + " / " + first.replayed;
  }

  // What one thread does to a pacer.
  std::vector<v1::PacerEvent> OneThread(int requests, PriceRule rule = PriceRule::kCredit,
                                        bool shared = false) {
    KeptJournal journal;
    FakeClock clock;
    MemoryWindowLedger windows;
    PacingOptions options;
    options.rule = rule;
    options.start_price_per_joule = 0.01;
    BudgetPacer pacer(clock, windows, options, &journal);
    SetBudgets(pacer);
    CounterRandom random(5, 1);
    InFlight running;
    for (int i = 0; i < requests; ++i) {
      Request(pacer, random, clock, running);
      if (shared && i % 5 == 0) Share(pacer, random, clock);
    }
    running.clear();
    return journal.events();
  }

  uint64_t lost_ = 0;
};

TEST_F(PacerReplayTest, SaysWhatThePacerSaid) {
  for (const PriceRule rule : {PriceRule::kCredit, PriceRule::kMirrorDescent}) {
    const std::vector<v1::PacerEvent> events = OneThread(600, rule);
    ASSERT_GT(events.size(), 2000u);
    const Mismatches mismatches = Replay(events);
    EXPECT_EQ(mismatches.count(), 0u) << First(mismatches);
  }
}

TEST_F(PacerReplayTest, WhatOtherRoutersDidIsReplayedToo) {
  for (const PriceRule rule : {PriceRule::kCredit, PriceRule::kMirrorDescent}) {
    const std::vector<v1::PacerEvent> events = OneThread(600, rule, true);
    const Mismatches mismatches = Replay(events);
    EXPECT_EQ(mismatches.count(), 0u) << First(mismatches);
  }
}

// Says whatever a ledger that others share may say.
class DrawnLedger final : public WindowLedger {
 public:
  void Keep(const std::string&, absl::Duration, int64_t, int) override {}
  void Forget(const std::string&) override {}
  WindowAnswer Reserve(const std::string&, const BudgetWindow&, int64_t, int64_t) override {
    const uint64_t drawn = random_.Below(40);
    return drawn > 4 ? WindowAnswer::kCovered : static_cast<WindowAnswer>(drawn);
  }
  void Settle(const std::string&, const BudgetWindow&, int64_t, int64_t) override {}
  int64_t Left(const std::string&, const BudgetWindow&, int64_t) const override {
    return Draw(6'000'000);
  }
  Counts Count(const std::string&, const BudgetWindow&) const override {
    return {Draw(4'000'000), Draw(1'000'000)};
  }

 private:
  int64_t Draw(uint64_t below) const { return static_cast<int64_t>(random_.Below(below)); }
  mutable CounterRandom random_{7, 7};
};

TEST_F(PacerReplayTest, WhatSharedWindowsAnsweredIsReplayed) {
  KeptJournal journal;
  FakeClock clock;
  DrawnLedger windows;
  {
    BudgetPacer pacer(clock, windows, {}, &journal);
    SetBudgets(pacer);
    Budget hard = Of(50, Budget::DAY, Budget::DOLLARS);
    hard.set_hard(true);
    ASSERT_TRUE(pacer.SetBudget("pool", hard).ok());
    hard = Of(1000, Budget::HOUR);
    hard.set_hard(true);
    ASSERT_TRUE(pacer.SetBudget("pool", hard).ok());
    CounterRandom random(5, 1);
    InFlight running;
    for (int i = 0; i < 600; ++i) {
      Request(pacer, random, clock, running);
      if (i % 7 == 0) pacer.Peek("pool", "acme");
      if (i % 11 == 0) pacer.List("pool", "");
    }
  }
  const std::vector<v1::PacerEvent> events = journal.events();
  size_t refused_opens = 0, refused_holds = 0;
  for (const v1::PacerEvent& event : events) {
    refused_opens += event.has_open() && event.open().refused() ? 1 : 0;
    refused_holds += event.has_hold() && event.hold().refused() &&
                     event.hold().kind() == v1::JouleHold::ALWAYS;
  }
  EXPECT_GT(refused_opens, 20u);
  EXPECT_GT(refused_holds, 5u);
  const Mismatches mismatches = Replay(events);
  EXPECT_EQ(mismatches.count(), 0u) << First(mismatches);
}

TEST_F(PacerReplayTest, AnotherShareIsFound) {
  const std::vector<v1::PacerEvent> events = OneThread(300, PriceRule::kCredit, true);
  void (*const flips[])(v1::BudgetShare&) = {
      [](v1::BudgetShare& share) { share.set_share(share.share() * (1 + 1e-9)); },
      [](v1::BudgetShare& share) { share.set_spent_elsewhere(share.spent_elsewhere() + 1e-6); },
      [](v1::BudgetShare& share) { share.set_credit_correction(share.credit_correction() + 1e-6); },
      [](v1::BudgetShare& share) { share.set_tenant("nobody"); },
  };
  for (const auto flip : flips) {
    std::vector<v1::PacerEvent> changed = events;
    const auto at = std::find_if(changed.begin() + changed.size() / 2, changed.end(),
                                 [](const v1::PacerEvent& event) {
                                   return event.has_share() && event.share().pool().empty();
                                 });
    ASSERT_NE(at, changed.end());
    flip(*at->mutable_share());
    EXPECT_GT(Replay(changed).count(), 0u);
  }
}

TEST_F(PacerReplayTest, ThePriceMovesInWhatIsReplayed) {
  std::vector<double> prices;
  bool adopted = false, refused = false, multiplied = false;
  for (const v1::PacerEvent& event : OneThread(600)) {
    adopted = adopted || event.has_level();
    refused = refused || (event.has_hold() && event.hold().refused());
    if (!event.has_view()) continue;
    prices.push_back(event.view().price_per_joule());
    multiplied = multiplied || event.view().price_multiplier() > 1;
  }
  std::sort(prices.begin(), prices.end());
  EXPECT_GT(std::unique(prices.begin(), prices.end()) - prices.begin(), 100);
  EXPECT_TRUE(adopted);
  EXPECT_TRUE(refused);
  EXPECT_TRUE(multiplied);
}

TEST_F(PacerReplayTest, ThreadsAreReplayedInTheOrderInWhichTheyCame) {
  KeptJournal journal;
  FakeClock clock;
  MemoryWindowLedger windows;
  std::vector<v1::PacerEvent> events;
  {
    BudgetPacer pacer(clock, windows, {}, &journal);
    SetBudgets(pacer);
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        CounterRandom random(6, t);
        InFlight running;
        for (int i = 0; i < 200; ++i) {
          Request(pacer, random, clock, running);
          if (i % 50 == 0) pacer.List("pool", "");
          if (i % 60 == 0) pacer.Peek("pool", "zeta");
          if (i % 20 == 0) Share(pacer, random, clock);
          if (t == 0 && i == 100) {
            EXPECT_TRUE(pacer.SetBudget("pool", Of(2, Budget::REQUEST)).ok());
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    events = journal.events();
  }
  for (size_t i = 0; i < events.size(); ++i) ASSERT_EQ(events[i].sequence(), i + 1);
  const Mismatches mismatches = Replay(events);
  EXPECT_EQ(mismatches.count(), 0u) << First(mismatches);
  EXPECT_EQ(lost_, 0u);
}

// Of every kind of event some number, wherever it stands in the log, is missed by what comes after
// it.
TEST_F(PacerReplayTest, AnotherNumberIsFoundAndNamed) {
  const std::vector<v1::PacerEvent> events = OneThread(300);
  struct Flip {
    const char* name;
    bool (*flip)(v1::PacerEvent&);
  };
  const Flip flips[] = {
      {"time",
       [](v1::PacerEvent& e) { return e.has_view() && (e.set_time_ns(e.time_ns() + 1000), true); }},
      {"price",
       [](v1::PacerEvent& e) {
         if (!e.has_view() || e.view().price_per_joule() == 0) return false;
         e.mutable_view()->set_price_per_joule(std::nextafter(e.view().price_per_joule(), 1));
         return true;
       }},
      {"headroom",
       [](v1::PacerEvent& e) {
         if (!e.has_view()) return false;
         e.mutable_view()->set_headroom_j(std::nextafter(e.view().headroom_j(), 1e9));
         return true;
       }},
      {"settled joules",
       [](v1::PacerEvent& e) {
         if (!e.has_settle()) return false;
         e.mutable_settle()->set_energy_j(e.settle().energy_j() * (1 + 1e-9));
         return true;
       }},
      {"held joules",
       [](v1::PacerEvent& e) {
         if (!e.has_hold() || e.hold().refused()) return false;
         e.mutable_hold()->set_energy_j(e.hold().energy_j() + 0.5);
         return true;
       }},
      {"joules of an option",
       [](v1::PacerEvent& e) {
         if (!e.has_options()) return false;
         e.mutable_options()->set_energy_j(0, e.options().energy_j(0) + 0.5);
         return true;
       }},
      {"amount",
       [](v1::PacerEvent& e) {
         if (!e.has_set_budget()) return false;
         Budget& budget = *e.mutable_set_budget()->mutable_budget();
         if (budget.resource() != Budget::JOULES) return false;
         budget.set_amount(budget.amount() * 1.01);
         return true;
       }},
      {"level",
       [](v1::PacerEvent& e) {
         if (!e.has_level()) return false;
         e.mutable_level()->set_price_per_joule(e.level().price_per_joule() + 1e-12);
         return true;
       }},
  };
  for (const Flip& flip : flips) {
    std::vector<v1::PacerEvent> changed = events;
    bool done = false;
    for (size_t i = flip.name == std::string("amount") ? 0 : changed.size() / 4;
         i < changed.size() && !done; ++i) {
      // What a request of the other pool holds and could have done is looked at by few.
      const v1::PacerEvent& event = changed[i];
      uint64_t request = 0;
      if (event.has_hold()) request = event.hold().request();
      if (event.has_options()) request = event.options().request();
      const bool other = request != 0 && changed[request - 1].open().pool() != "pool";
      done = !other && flip.flip(changed[i]);
    }
    ASSERT_TRUE(done) << flip.name;
    const Mismatches mismatches = Replay(changed);
    ASSERT_GT(mismatches.count(), 0u) << flip.name;
    EXPECT_NE(mismatches.first()[0].logged, mismatches.first()[0].replayed) << flip.name;
  }
}

// Late in the log, once zeta has passed its part.
TEST_F(PacerReplayTest, AnotherLargestAnswerIsFound) {
  const std::vector<v1::PacerEvent> events = OneThread(900);
  std::set<uint64_t> limited;
  size_t view = 0, hold = 0;
  for (size_t i = 0; i < events.size(); ++i) {
    const v1::PacerEvent& event = events[i];
    if (event.has_view() && event.view().has_largest_j()) {
      limited.insert(event.view().request());
      view = i;
    }
    if (event.has_hold() && event.hold().largest_j() > 0 && !event.hold().refused() &&
        limited.count(event.hold().request()) > 0) {
      hold = i;
    }
  }
  ASSERT_GT(view, 0u);
  ASSERT_GT(hold, 0u);
  const auto mismatches = [&](size_t at, const std::function<void(v1::PacerEvent&)>& flip) {
    std::vector<v1::PacerEvent> changed = events;
    flip(changed[at]);
    return Replay(changed).count();
  };
  EXPECT_GT(mismatches(view,
                       [](v1::PacerEvent& e) {
                         e.mutable_view()->set_largest_j(
                             std::nextafter(e.view().largest_j(), 1e9));
                       }),
            0u);
  EXPECT_GT(mismatches(view, [](v1::PacerEvent& e) { e.mutable_view()->clear_largest_j(); }), 0u);
  EXPECT_GT(mismatches(hold, [](v1::PacerEvent& e) { e.mutable_hold()->set_largest_j(1e9); }), 0u);
}

TEST_F(PacerReplayTest, AfterAGapNothingIsClaimed) {
  std::vector<v1::PacerEvent> events = OneThread(100);
  events.erase(events.begin() + static_cast<long>(events.size() / 2));
  Mismatches mismatches;
  PacerReplay replay(mismatches);
  for (const v1::PacerEvent& event : events) replay.Apply(event);
  EXPECT_EQ(mismatches.count(), 0u) << First(mismatches);
  EXPECT_EQ(replay.lost(), 1u);
  uint64_t last_open = 0, first_open = 0;
  for (const v1::PacerEvent& event : events) {
    if (!event.has_open()) continue;
    if (first_open == 0) first_open = event.sequence();
    last_open = event.sequence();
  }
  EXPECT_FALSE(replay.Decide(last_open).has_value());
  EXPECT_FALSE(replay.ended().has_value());
}

TEST_F(PacerReplayTest, WithoutAStartNothingIsClaimed) {
  std::vector<v1::PacerEvent> events = OneThread(20);
  events.erase(events.begin());
  Mismatches mismatches;
  PacerReplay replay(mismatches);
  for (const v1::PacerEvent& event : events) replay.Apply(event);
  EXPECT_TRUE(replay.headless());
  EXPECT_EQ(mismatches.count(), 0u);
}

}  // namespace
}  // namespace penstock::router
