#include <algorithm>
#include <cmath>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/random.h"
#include "gateway/admission/admission.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_timers.h"

namespace penstock::gateway {
namespace {

constexpr absl::Duration kAllowed = absl::Milliseconds(500);

struct NoObserver final : AdmissionObserver {
  void Waited(absl::Duration) override {}
  void Shed(absl::string_view, ShedReason) override {}
  void LimitChanged(absl::string_view, uint32_t) override {}
  void Waiting(uint32_t, uint32_t) override {}
};

// What became of one tenant's requests that came within a stretch.
struct Tally {
  int asked = 0;
  int in_time = 0;
  int shed = 0;
  int missed = 0;  // admitted or made to wait, and not answered in time
  double share() const { return static_cast<double>(in_time) / asked; }
};

// Tenants that come as they like (Poisson), admission, and experts that serve ten at a time for
// 40 ms each, in order of arrival: 250 a second. Who is still there at its deadline is late then,
// and takes nobody's time. How it ends is `late`; callers that cancel do so a little before, since
// gRPC rounds what they state up.
class OverloadSimulation {
 public:
  explicit OverloadSimulation(bool adaptive,
                              absl::StatusCode late = absl::StatusCode::kDeadlineExceeded)
      : late_(late, "late") {
    config::v1::Admission config;
    config.set_adaptive(adaptive);
    admission_ = *Admission::Create(config, clock_, timers_, observer_);
  }
  ~OverloadSimulation() {
    rates_.clear();
    timers_.AdvanceAndRun(absl::Seconds(5));
    EXPECT_EQ(admission_->in_flight(), 0u);
    EXPECT_EQ(admission_->queued(), 0u);
  }

  // What became of whoever comes within `duration`, by tenant.
  std::map<std::string, Tally> Run(const std::map<std::string, double>& rates,
                                   absl::Duration duration) {
    tallies_ = std::make_shared<std::map<std::string, Tally>>();
    const auto told = tallies_;
    for (const auto& [tenant, rate] : rates) {
      const bool comes_already = rates_.count(tenant) > 0;
      rates_[tenant] = rate;
      if (!comes_already) NextArrival(tenant);
    }
    timers_.AdvanceAndRun(duration);
    tallies_ = std::make_shared<std::map<std::string, Tally>>();
    timers_.AdvanceAndRun(kAllowed);  // until all of those have been told
    return *told;
  }
  uint32_t most_queued() const { return most_queued_; }

 private:
  struct Request {
    std::shared_ptr<Admission::Ticket> ticket;
    std::shared_ptr<std::map<std::string, Tally>> tallies;
    std::string tenant;
    absl::Time deadline;
    Timers::Id timer = 0;
    bool runs = false;
  };
  using Waiting = std::list<Request>;

  void NextArrival(const std::string& tenant) {
    const auto rate = rates_.find(tenant);
    if (rate == rates_.end()) return;
    const double gap = -std::log(1 - random_.Uniform()) / rate->second;
    timers_.Schedule(clock_.Now() + absl::Seconds(gap), [this, tenant] {
      Arrive(tenant);
      NextArrival(tenant);
    });
  }

  void Arrive(const std::string& tenant) {
    const auto tallies = tallies_;
    ++(*tallies)[tenant].asked;
    const absl::Time deadline = clock_.Now() + kAllowed;
    admission_->Enter({"pool", tenant, 5, deadline}, [this, tallies, tenant, deadline](
                                                         absl::StatusOr<Admission::Ticket> ticket,
                                                         absl::Duration) {
      if (absl::IsResourceExhausted(ticket.status())) {
        ++(*tallies)[tenant].shed;
      } else if (!ticket.ok()) {
        ++(*tallies)[tenant].missed;
      } else {
        at_experts_.push_back(
            {std::make_shared<Admission::Ticket>(*std::move(ticket)), tallies, tenant, deadline});
        const auto request = std::prev(at_experts_.end());
        const absl::Time gone =
            deadline - (absl::IsCancelled(late_) ? absl::Milliseconds(1) : absl::ZeroDuration());
        request->timer = timers_.Schedule(gone, [this, request] { End(request, false); });
        FillSlots();
      }
    });
    most_queued_ = std::max(most_queued_, admission_->queued());
  }

  void FillSlots() {
    for (auto request = at_experts_.begin(); request != at_experts_.end() && running_ < 10;
         ++request) {
      if (request->runs) continue;
      request->runs = true;
      ++running_;
      const absl::Time ends = clock_.Now() + absl::Milliseconds(40);
      if (ends > request->deadline) continue;  // late in the end
      timers_.Cancel(request->timer);
      request->timer = timers_.Schedule(ends, [this, request] { End(request, true); });
    }
  }

  void End(Waiting::iterator request, bool in_time) {
    Tally& tally = (*request->tallies)[request->tenant];
    ++(in_time ? tally.in_time : tally.missed);
    running_ -= request->runs ? 1 : 0;
    const auto ticket = std::move(request->ticket);
    at_experts_.erase(request);
    FillSlots();
    ticket->Answered(in_time ? absl::OkStatus() : late_);
  }

  const absl::Status late_;
  FakeClock clock_;
  FakeTimers timers_{clock_};
  NoObserver observer_;
  CounterRandom random_{1, 0};
  std::map<std::string, double> rates_;
  std::shared_ptr<std::map<std::string, Tally>> tallies_;
  std::unique_ptr<Admission> admission_;
  Waiting at_experts_;  // in order of arrival
  int running_ = 0;
  uint32_t most_queued_ = 0;
};

TEST(OverloadSimulationTest, AtThreeTimesTheCapacityWhoBehavesKeepsItsShareAndGoodputHolds) {
  OverloadSimulation simulation(/*adaptive=*/true);
  simulation.Run({{"flood", 725}, {"behaved", 25}}, absl::Seconds(5));
  auto told = simulation.Run({{"flood", 725}, {"behaved", 25}}, absl::Seconds(60));
  const Tally flood = told["flood"], behaved = told["behaved"];
  EXPECT_GE(behaved.share(), 0.99);
  EXPECT_GE(flood.in_time + behaved.in_time, 0.98 * 250 * 60);
  EXPECT_LE(flood.missed + behaved.missed,
            0.01 * (flood.asked + behaved.asked - flood.shed - behaved.shed));
  EXPECT_LE(simulation.most_queued(), 1024u);
}

TEST(OverloadSimulationTest, TheFirstFloodIsContainedInASecondOrTwo) {
  OverloadSimulation simulation(/*adaptive=*/true);
  simulation.Run({{"flood", 725}, {"behaved", 25}}, absl::Seconds(2));
  auto told = simulation.Run({{"flood", 725}, {"behaved", 25}}, absl::Seconds(3));
  EXPECT_GE(told["behaved"].share(), 0.95);
}

TEST(OverloadSimulationTest, CallersThatCancelWhatIsLateAreNoBetterOff) {
  OverloadSimulation simulation(/*adaptive=*/true, absl::StatusCode::kCancelled);
  simulation.Run({{"flood", 725}, {"behaved", 25}}, absl::Seconds(5));
  auto told = simulation.Run({{"flood", 725}, {"behaved", 25}}, absl::Seconds(60));
  const Tally flood = told["flood"], behaved = told["behaved"];
  EXPECT_GE(behaved.share(), 0.99);
  EXPECT_GE(flood.in_time + behaved.in_time, 0.98 * 250 * 60);
  EXPECT_LE(flood.missed + behaved.missed,
            0.01 * (flood.asked + behaved.asked - flood.shed - behaved.shed));
}

TEST(OverloadSimulationTest, TwoWhoFloodHaveEqualParts) {
  OverloadSimulation simulation(/*adaptive=*/true);
  const std::map<std::string, double> rates = {{"much", 600}, {"more", 1200}};
  simulation.Run(rates, absl::Seconds(5));
  auto told = simulation.Run(rates, absl::Seconds(30));
  EXPECT_NEAR(told["much"].in_time / 30.0, 125, 4);
  EXPECT_NEAR(told["more"].in_time / 30.0, 125, 4);
}

// What the limit is for: without it everybody's requests stand in the experts' one queue.
TEST(OverloadSimulationTest, WithoutTheLimitWhoBehavesFaresAsWhoFloods) {
  OverloadSimulation simulation(/*adaptive=*/false);
  simulation.Run({{"flood", 725}, {"behaved", 25}}, absl::Seconds(5));
  auto told = simulation.Run({{"flood", 725}, {"behaved", 25}}, absl::Seconds(20));
  EXPECT_LE(told["behaved"].share(), 0.5);
}

}  // namespace
}  // namespace penstock::gateway
