#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/store/memory_store.h"
#include "gtest/gtest.h"
#include "tests/router_service/pacing/leasing/leasing_router.h"

namespace penstock::router {
namespace {

constexpr int kRouters = 4;
constexpr absl::Duration kStep = absl::Milliseconds(10);
// How old what a router knows of the others may be while its store answers: the longest period of
// reading, and a tick.
const absl::Duration kReadAge = absl::Seconds(1) + 2 * SharedWindowLedger::kTick;
// A call that hangs is noticed so long after it began, at the latest.
const absl::Duration kNoticed =
    SharedWindowLedger::kPatience + SharedWindowLedger::kTick + 2 * kStep;

// Several routers over one store, all of whose failures are drawn; every unit that is spent is
// counted beside them.
class Platform {
 public:
  struct Setting {
    absl::Duration length;
    int64_t cap = 0;
    int64_t most = 0;    // that a request reserves
    double rate = 0;     // requests a second, all routers
    bool faults = true;  // beside bursts
  };
  // How far all may go over a window's cap, by why.
  struct Excess {
    int64_t beyond_reserved = 0;
    int64_t unsure = 0;
    int64_t emptied = 0;
    int64_t Sum() const { return beyond_reserved + unsure + emptied; }
  };

  Platform(const Setting& setting, uint64_t seed) : setting_(setting), random_(seed, 1) {
    store_ = std::make_unique<MemoryStore>(clock_);
    for (int i = 0; i < kRouters; ++i) Begin(i);
    Pass(absl::Milliseconds(200));
  }

  void Run(absl::Duration time) {
    const absl::Time end = clock_.Now() + time;
    while (clock_.Now() < end) {
      if (setting_.faults) Fault();
      Arrive();
      Finish(clock_.Now());
      Pass(kStep);
      NoteGrants();
      NoteOutages();
      Check();
    }
  }

  // Everything is whole again, and nothing comes. What was seen is in the test's report.
  void Rest() {
    testing::Test::RecordProperty("spent", spent_sum_);
    testing::Test::RecordProperty("refused", refused_);
    testing::Test::RecordProperty("worst_over_cap", worst_over_cap_);
    testing::Test::RecordProperty("beyond_reserved", excess_sum_.beyond_reserved);
    testing::Test::RecordProperty("unsure", excess_sum_.unsure);
    testing::Test::RecordProperty("emptied", excess_sum_.emptied);
    testing::Test::RecordProperty("routers", begun_);
    testing::Test::RecordProperty("stores", static_cast<int>(stores_.size()) + 1);
    for (Member& member : members_) Heal(*member.router);
    Finish(absl::InfiniteFuture());
    for (int i = 0; i < 300; ++i) {
      Pass(kStep);
      Check();
    }
    for (const Member& member : members_) {
      for (const auto& figures : member.router->ledger->figures()) {
        EXPECT_EQ(figures.reserved, 0);
        EXPECT_FALSE(figures.lost);
      }
    }
  }

  int64_t spent() const { return spent_sum_; }
  Excess excess() const { return excess_sum_; }
  int64_t worst_over_cap() const { return worst_over_cap_; }

 private:
  struct Member {
    std::unique_ptr<LeasingRouter> router;
    int64_t unsure = 0;  // known of it
    // What its rates times the time that it missed the store come to.
    double unsure_allowed = 0;
    bool lost = false;
    absl::Time heals = absl::InfiniteFuture();
  };
  struct Request {
    std::shared_ptr<SharedWindowLedger> ledger;  // of a dead router, maybe: it counts all the same
    BudgetWindow window;
    int64_t reserved = 0;
    int64_t takes = 0;
  };

  struct Late {
    absl::Time heard;  // by all, by then
    absl::Time window;
    int64_t beyond = 0;
  };

  void Begin(int i) {
    Member& member = members_[i];
    member = Member();
    member.router = std::make_unique<LeasingRouter>(*store_, timers_, clock_,
                                                    OwnedBy(absl::StrCat("router-", ++begun_)));
    member.router->ledger->Keep("b", setting_.length, setting_.cap, 0);
  }
  void Heal(LeasingRouter& router) {
    router.link.Fail(absl::OkStatus());
    router.link.LoseReplies(absl::OkStatus());
    router.link.Release();
  }
  bool Chance(double a_second) {
    return random_.Uniform() < a_second * absl::ToDoubleSeconds(kStep);
  }

  void Fault() {
    for (int i = 0; i < kRouters; ++i) {
      Member& member = members_[i];
      if (clock_.Now() >= member.heals) {
        Heal(*member.router);
        member.heals = absl::InfiniteFuture();
      }
      if (Chance(0.03)) {
        // A partition, replies that are lost, or calls that hang.
        switch (random_.Below(3)) {
          case 0:
            member.router->link.Fail(absl::UnavailableError("cut off"));
            break;
          case 1:
            member.router->link.LoseReplies(absl::UnavailableError("connection lost"));
            break;
          default:
            member.router->link.Hold();
        }
        member.heals = clock_.Now() + absl::Milliseconds(200 + random_.Below(8000));
      }
      if (Chance(0.01)) {  // killed, and another one begins
        NoteUnsure(member);
        member.router->link.Fail(absl::UnavailableError("dead"));
        graveyard_.push_back(std::move(member.router));
        Begin(i);
      }
    }
    if (Chance(0.02)) Empty();
  }

  // A store that comes back empty may grant again what was granted since others last read it.
  void Empty() {
    absl::Time read = clock_.Now();
    for (const Member& member : members_) {
      for (const auto& figures : member.router->ledger->figures()) {
        read = std::min(read, clock_.Now() - figures.age - kReadAge);
      }
    }
    for (auto& [window, grants] : grants_) {
      const auto known = std::find_if(grants.begin(), grants.end(),
                                      [&](const auto& grant) { return grant.first > read; });
      const int64_t before = known == grants.begin() ? 0 : std::prev(known)->second;
      const int64_t out = grants.empty() ? 0 : grants.back().second - before;
      excess_[window].emptied += out;
      excess_sum_.emptied += out;
      grants.clear();
    }
    stores_.push_back(std::exchange(store_, std::make_unique<MemoryStore>(clock_)));
    for (Member& member : members_) member.router->link.To(*store_);
  }

  void NoteGrants() {
    for (const auto& each : spent_) {
      const absl::Time window = each.first;
      if (window + setting_.length + absl::Minutes(1) < clock_.Now()) continue;
      store_->ReadTotals("budget/b", BudgetWindow{window, setting_.length}.number(),
                         absl::InfiniteFuture(), [&](absl::StatusOr<StoreFields> fields) {
                           int64_t sum = 0;
                           for (const auto& [field, value] : *fields) {
                             if (field[0] == 'g') sum += value;
                           }
                           auto& grants = grants_[window];
                           if (grants.empty() || grants.back().second != sum) {
                             grants.emplace_back(clock_.Now(), sum);
                           }
                         });
    }
  }

  void Arrive() {
    const bool burst = (clock_.Now() - absl::UnixEpoch()) / absl::Seconds(7) % 3 == 0;
    const double expected = setting_.rate * (burst ? 3 : 0.5) * absl::ToDoubleSeconds(kStep);
    for (double left = expected; left > random_.Uniform(); left -= 1) {
      // One router has most of it.
      Member& member = members_[random_.Uniform() < 0.6 ? 0 : random_.Below(kRouters)];
      Request request;
      request.ledger = member.router->ledger;
      request.window = BudgetWindow::At(clock_.Now(), setting_.length);
      request.reserved = 1 + static_cast<int64_t>(random_.Below(setting_.most));
      const double share = random_.Uniform() < 0.1 ? 0 : 0.5 + random_.Uniform();
      request.takes = static_cast<int64_t>(share * static_cast<double>(request.reserved));
      const WindowAnswer answer =
          request.ledger->Reserve("b", request.window, request.reserved, setting_.cap);
      if (!Covers(answer)) {
        ++refused_;
        continue;
      }
      NoteUnsure(member);
      in_flight_[request.window.start] += request.reserved;
      running_.emplace(clock_.Now() + absl::Milliseconds(random_.Below(2000)), request);
    }
  }

  void NoteUnsure(Member& member) {
    for (const auto& figures : member.router->ledger->figures()) {
      const int64_t more = figures.unsure - member.unsure;
      member.unsure = figures.unsure;
      excess_[BudgetWindow::At(clock_.Now(), setting_.length).start].unsure += more;
      excess_sum_.unsure += more;
    }
  }

  void NoteOutages() {
    for (Member& member : members_) {
      for (const auto& figures : member.router->ledger->figures()) {
        if (figures.lost) {
          const absl::Duration missed = kStep + (member.lost ? absl::ZeroDuration() : kNoticed);
          member.unsure_allowed += figures.rate * absl::ToDoubleSeconds(missed);
        }
        member.lost = figures.lost;
        ASSERT_LE(static_cast<double>(figures.unsure), member.unsure_allowed + 1);
      }
    }
  }

  void Finish(absl::Time until) {
    while (!running_.empty() && running_.begin()->first <= until) {
      const Request request = running_.begin()->second;
      running_.erase(running_.begin());
      request.ledger->Settle("b", request.window, request.reserved, request.takes);
      in_flight_[request.window.start] -= request.reserved;
      spent_[request.window.start] += request.takes;
      spent_sum_ += request.takes;
      const int64_t beyond = std::max<int64_t>(0, request.takes - request.reserved);
      if (setting_.faults) {  // who is cut off tells of it much later
        excess_[request.window.start].beyond_reserved += beyond;
        excess_sum_.beyond_reserved += beyond;
      } else {
        late_.push_back({clock_.Now() + kReadAge, request.window.start, beyond});
      }
    }
    if (!setting_.faults) NoteBeyond();
  }

  // What is in flight takes beyond what it reserved, and what did so was not heard of yet.
  void NoteBeyond() {
    while (!late_.empty() && late_.front().heard <= clock_.Now()) late_.pop_front();
    std::map<absl::Time, int64_t> sums;
    for (const Late& late : late_) sums[late.window] += late.beyond;
    for (const auto& [at, request] : running_) {
      sums[request.window.start] += std::max<int64_t>(0, request.takes - request.reserved);
    }
    for (const auto& [window, sum] : sums) {
      int64_t& most = excess_[window].beyond_reserved;
      most = std::max(most, sum);
      excess_sum_.beyond_reserved = std::max(excess_sum_.beyond_reserved, most);
    }
  }

  void Check() {
    for (const auto& [window, held] : in_flight_) {
      if (window + 2 * setting_.length + absl::Seconds(4) < clock_.Now()) continue;
      const int64_t total = spent_[window] + held;
      worst_over_cap_ = std::max(worst_over_cap_, total - setting_.cap);
      ASSERT_LE(total, setting_.cap + excess_[window].Sum()) << absl::FormatTime(window);
    }
  }

  void Pass(absl::Duration time) { timers_.AdvanceAndRun(time); }

  const Setting setting_;
  CounterRandom random_;
  FakeClock clock_{absl::UnixEpoch() + absl::Hours(10)};
  FakeTimers timers_{clock_};
  std::unique_ptr<MemoryStore> store_;
  std::vector<std::unique_ptr<MemoryStore>> stores_;  // emptied ones
  Member members_[kRouters];
  std::vector<std::unique_ptr<LeasingRouter>> graveyard_;
  int begun_ = 0;
  int64_t refused_ = 0;
  std::multimap<absl::Time, Request> running_;
  std::deque<Late> late_;
  // By window's start.
  std::map<absl::Time, int64_t> in_flight_, spent_;
  std::map<absl::Time, Excess> excess_;
  std::map<absl::Time, std::deque<std::pair<absl::Time, int64_t>>> grants_;
  int64_t spent_sum_ = 0;
  Excess excess_sum_;
  int64_t worst_over_cap_ = std::numeric_limits<int64_t>::min();
};

class BudgetTruthTest : public testing::TestWithParam<int> {};

TEST_P(BudgetTruthTest, AnHourIsKeptThroughWhateverHappens) {
  // Some 100 a request, 160 of them a second for 100 s: more than thrice the cap.
  Platform platform({.length = absl::Hours(1), .cap = 500'000, .most = 200, .rate = 120},
                    static_cast<uint64_t>(GetParam()));
  platform.Run(absl::Seconds(100));
  platform.Rest();
  EXPECT_GT(platform.spent(), 400'000) << "hardly anything was spent";
}

TEST_P(BudgetTruthTest, SecondsAreKeptThroughWhateverHappens) {
  Platform platform({.length = absl::Seconds(1), .cap = 60, .most = 1, .rate = 100},
                    static_cast<uint64_t>(GetParam()) + 1000);
  platform.Run(absl::Seconds(60));
  platform.Rest();
  EXPECT_GT(platform.spent(), 60 * 20) << "hardly anything was spent";
}

TEST_P(BudgetTruthTest, WithoutFailuresOnlyWhatIsInFlightGoesOver) {
  Platform platform(
      {.length = absl::Minutes(1), .cap = 200'000, .most = 300, .rate = 100, .faults = false},
      static_cast<uint64_t>(GetParam()) + 2000);
  platform.Run(absl::Seconds(150));
  platform.Rest();
  EXPECT_EQ(platform.excess().unsure, 0);
  EXPECT_EQ(platform.excess().emptied, 0);
  EXPECT_LE(platform.worst_over_cap(), platform.excess().beyond_reserved);
  // Of two whole windows that want more than they have.
  EXPECT_GT(platform.spent(), 2 * 200'000 * 9 / 10);
}

INSTANTIATE_TEST_SUITE_P(Seeds, BudgetTruthTest, testing::Range(1, 9));

}  // namespace
}  // namespace penstock::router
