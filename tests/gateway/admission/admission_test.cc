#include "gateway/admission/admission.h"

#include <list>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_timers.h"

namespace penstock::gateway {
namespace {

using ::testing::ElementsAre;

class AdmissionTest : public ::testing::Test {
 protected:
  std::unique_ptr<Admission> Make(uint32_t max_in_flight, uint32_t max_queue) {
    config::v1::Admission config;
    config.set_max_in_flight(max_in_flight);
    config.set_max_queue(max_queue);
    return *Admission::Create(config, timers_);
  }
  // Enters and keeps what comes of it under `name`.
  Admission::WaiterId Enter(Admission& admission, const std::string& name, uint32_t priority = 5,
                            absl::Time deadline = absl::InfiniteFuture()) {
    return admission.Enter(priority, deadline, [this, name](absl::StatusOr<Admission::Ticket> ticket) {
      events_.push_back(name + ":" + std::string(absl::StatusCodeToString(ticket.status().code())));
      if (ticket.ok()) tickets_.emplace_back(name, *std::move(ticket));
    });
  }
  void Leave(const std::string& name) {
    for (auto it = tickets_.begin(); it != tickets_.end(); ++it) {
      if (it->first != name) continue;
      std::optional<Admission::Ticket> ticket(std::move(it->second));
      tickets_.erase(it);
      return;
    }
    FAIL() << name << " holds no ticket";
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  std::vector<std::string> events_;
  std::list<std::pair<std::string, Admission::Ticket>> tickets_;
};

TEST_F(AdmissionTest, AdmitsAtOnceWhileThereIsRoom) {
  const auto admission = Make(2, 0);
  Enter(*admission, "a");
  Enter(*admission, "b");
  EXPECT_THAT(events_, ElementsAre("a:OK", "b:OK"));
  tickets_.clear();
}

TEST_F(AdmissionTest, RefusesWhatTheQueueCannotHold) {
  const auto admission = Make(1, 1);
  Enter(*admission, "running");
  Enter(*admission, "waiting");
  Enter(*admission, "refused");
  EXPECT_THAT(events_, ElementsAre("running:OK", "refused:RESOURCE_EXHAUSTED"));
  EXPECT_EQ(admission->queued(), 1u);
  Leave("running");
  tickets_.clear();
}

TEST_F(AdmissionTest, AdmitsByPriorityThenArrival) {
  const auto admission = Make(1, 10);
  Enter(*admission, "running");
  Enter(*admission, "late", 9);
  Enter(*admission, "first", 0);
  Enter(*admission, "second", 0);
  Leave("running");
  Leave("first");
  Leave("second");
  EXPECT_THAT(events_, ElementsAre("running:OK", "first:OK", "second:OK", "late:OK"));
  Leave("late");
  EXPECT_EQ(admission->in_flight(), 0u);
}

TEST_F(AdmissionTest, GivesUpAtTheDeadlineInTheQueue) {
  const auto admission = Make(1, 10);
  Enter(*admission, "running");
  Enter(*admission, "waiting", 5, clock_.Now() + absl::Seconds(1));
  timers_.AdvanceAndRun(absl::Seconds(1));
  EXPECT_THAT(events_, ElementsAre("running:OK", "waiting:DEADLINE_EXCEEDED"));
  Leave("running");
  EXPECT_EQ(admission->in_flight(), 0u);
}

TEST_F(AdmissionTest, CancelLeavesTheQueueOnce) {
  const auto admission = Make(1, 10);
  Enter(*admission, "running");
  const Admission::WaiterId id = Enter(*admission, "waiting");
  admission->Cancel(id);
  admission->Cancel(id);
  EXPECT_THAT(events_, ElementsAre("running:OK", "waiting:CANCELLED"));
  EXPECT_EQ(admission->queued(), 0u);
  Leave("running");
}

TEST_F(AdmissionTest, AnAdmittedWaiterForgetsItsDeadline) {
  const auto admission = Make(1, 10);
  Enter(*admission, "running");
  Enter(*admission, "waiting", 5, clock_.Now() + absl::Seconds(1));
  Leave("running");
  EXPECT_EQ(timers_.scheduled(), 0u);
  tickets_.clear();
}

TEST_F(AdmissionTest, ALongQueueOfRequestsThatEndAtOnceNeedsNoDeepStack) {
  const auto admission = Make(1, 200'000);
  Enter(*admission, "running");
  int ended = 0;
  for (int i = 0; i < 200'000; ++i) {
    admission->Enter(5, absl::InfiniteFuture(),
                     [&ended](absl::StatusOr<Admission::Ticket> ticket) { ended += ticket.ok(); });
  }
  Leave("running");
  EXPECT_EQ(ended, 200'000);
  EXPECT_EQ(admission->in_flight(), 0u);
}

TEST_F(AdmissionTest, RefusesLimitsOutOfRange) {
  config::v1::Admission config;
  config.set_max_in_flight(0);
  const auto admission = Admission::Create(config, timers_);
  EXPECT_EQ(admission.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(admission.status().message()), ::testing::HasSubstr("max_in_flight"));
}

TEST_F(AdmissionTest, MoreRoomAdmitsWhoWaitsAndLessTurnsNobodyOut) {
  const auto admission = Make(1, 2);
  Enter(*admission, "a");
  Enter(*admission, "b");
  Enter(*admission, "c");
  config::v1::Admission config;
  config.set_max_in_flight(2);
  config.set_max_queue(1);
  admission->Change(config);
  EXPECT_THAT(events_, ElementsAre("a:OK", "b:OK"));
  config.set_max_in_flight(1);
  admission->Change(config);
  Enter(*admission, "d");
  EXPECT_EQ(admission->in_flight(), 2u);
  EXPECT_EQ(admission->queued(), 1u);
  EXPECT_EQ(events_.back(), "d:RESOURCE_EXHAUSTED");
  Leave("a");
  EXPECT_EQ(admission->queued(), 1u);
  Leave("b");
  EXPECT_EQ(events_.back(), "c:OK");
  tickets_.clear();
}

}  // namespace
}  // namespace penstock::gateway
