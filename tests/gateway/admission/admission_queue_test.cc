#include "gateway/admission/admission_queue.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::gateway {
namespace {

using ::testing::ElementsAre;

bool Everywhere(absl::string_view) { return true; }

class AdmissionQueueTest : public ::testing::Test {
 protected:
  void Push(AdmissionQueue::Id id, absl::string_view tenant, uint32_t priority = 5,
            absl::string_view pool = "pool") {
    const auto pushed = queue_.Push(id, {pool, priority, tenant});
    ASSERT_TRUE(pushed.taken);
    ASSERT_EQ(pushed.pushed_out, 0u);
  }
  std::vector<AdmissionQueue::Id> PopAll() {
    std::vector<AdmissionQueue::Id> all;
    while (const AdmissionQueue::Id id = queue_.Pop(Everywhere)) all.push_back(id);
    return all;
  }

  AdmissionQueue queue_{100};
};

TEST_F(AdmissionQueueTest, OneTenantIsServedInOrderOfArrival) {
  for (AdmissionQueue::Id id = 1; id <= 4; ++id) Push(id, "a");
  EXPECT_THAT(PopAll(), ElementsAre(1, 2, 3, 4));
}

TEST_F(AdmissionQueueTest, TenantsTakeTurnsHoweverManyTheyAsk) {
  for (AdmissionQueue::Id id = 1; id <= 4; ++id) Push(id, "flood");
  Push(11, "b");
  Push(12, "b");
  Push(21, "c");
  EXPECT_THAT(PopAll(), ElementsAre(1, 11, 21, 2, 12, 3, 4));
}

TEST_F(AdmissionQueueTest, UrgentRequestsGoFirstWhoeverAsks) {
  Push(1, "a", 5);
  Push(2, "b", 5);
  Push(3, "a", 0);
  Push(4, "a", 0);
  EXPECT_THAT(PopAll(), ElementsAre(3, 4, 1, 2));
}

TEST_F(AdmissionQueueTest, ComingBackWithOneRequestAtATimeGainsNothing) {
  for (AdmissionQueue::Id id = 1; id <= 3; ++id) Push(id, "steady");
  Push(11, "quick");
  std::vector<AdmissionQueue::Id> served;
  for (AdmissionQueue::Id next = 12; served.size() < 5;) {
    served.push_back(queue_.Pop(Everywhere));
    if (served.back() > 10) Push(next++, "quick");
  }
  EXPECT_THAT(served, ElementsAre(1, 11, 2, 12, 3));
}

TEST_F(AdmissionQueueTest, PoolsWithoutRoomArePassedOver) {
  Push(1, "a", 0, "full");
  Push(2, "a", 5, "free");
  EXPECT_EQ(queue_.Pop([](absl::string_view pool) { return pool == "free"; }), 2u);
  EXPECT_EQ(queue_.Pop([](absl::string_view pool) { return pool == "free"; }), 0u);
  EXPECT_EQ(queue_.WaitingIn("full"), 1u);
}

TEST_F(AdmissionQueueTest, PoolsTakeTurns) {
  for (AdmissionQueue::Id id = 1; id <= 3; ++id) Push(id, "a", 5, "one");
  for (AdmissionQueue::Id id = 11; id <= 13; ++id) Push(id, "a", 5, "two");
  EXPECT_THAT(PopAll(), ElementsAre(1, 11, 2, 12, 3, 13));
}

TEST_F(AdmissionQueueTest, WhoHasMostMakesRoom) {
  queue_.SetMost(3);
  for (AdmissionQueue::Id id = 1; id <= 3; ++id) Push(id, "flood");
  const auto pushed = queue_.Push(11, {"pool", 5, "b"});
  EXPECT_TRUE(pushed.taken);
  EXPECT_EQ(pushed.pushed_out, 3u);  // the newest
  // 2 and 1: taking turns about the last place would help nobody.
  EXPECT_FALSE(queue_.Push(12, {"pool", 5, "b"}).taken);
  EXPECT_THAT(PopAll(), ElementsAre(1, 11, 2));
}

TEST_F(AdmissionQueueTest, LessUrgentRequestsMakeRoomForMoreUrgentOnes) {
  queue_.SetMost(2);
  Push(1, "a", 9);
  Push(2, "b", 5);
  EXPECT_EQ(queue_.Push(3, {"pool", 5, "b"}).pushed_out, 1u);
  EXPECT_FALSE(queue_.Push(4, {"pool", 9, "c"}).taken);
  EXPECT_THAT(PopAll(), ElementsAre(2, 3));
}

TEST_F(AdmissionQueueTest, AQueueOfNothingTakesNobody) {
  queue_.SetMost(0);
  EXPECT_FALSE(queue_.Push(1, {"pool", 0, "a"}).taken);
}

TEST_F(AdmissionQueueTest, ManyTenantsThatComeOnceAreNotKeptInMind) {
  queue_.SetMost(10);
  Push(1, "steady");
  Push(2, "steady");
  for (AdmissionQueue::Id id = 3; id < 10'000; ++id) {
    Push(id, absl::StrCat("once-", id));
    ASSERT_NE(queue_.Pop(Everywhere), 0u);
    ASSERT_LE(queue_.remembered(), AdmissionQueue::kMaxRemembered + 3);
  }
}

// The same rules over a plain list, with everything looked up anew.
class Reference {
 public:
  struct Request {
    AdmissionQueue::Id id;
    std::string pool, tenant;
    uint32_t priority;
  };
  using Lane = std::pair<std::string, uint32_t>;
  using Flow = std::pair<Lane, std::string>;

  size_t Waiting(const Flow& flow) const {
    return std::count_if(requests.begin(), requests.end(),
                         [&](const Request& request) { return FlowOf(request) == flow; });
  }
  static Lane LaneOf(const Request& request) { return {request.pool, request.priority}; }
  static Flow FlowOf(const Request& request) { return {LaneOf(request), request.tenant}; }

  void Push(const Request& request) {
    const Flow flow = FlowOf(request);
    if (Waiting(flow) == 0) {
      next[flow] = {std::max(next[flow].first, round[LaneOf(request)]), ++order};
    }
    requests.push_back(request);
  }
  void Remove(AdmissionQueue::Id id, bool served) {
    const auto it = std::find_if(requests.begin(), requests.end(),
                                 [id](const Request& request) { return request.id == id; });
    const Flow flow = FlowOf(*it);
    const Lane lane = LaneOf(*it);
    requests.erase(it);
    if (served) {
      round[lane] = std::max(round[lane], next[flow].first);
      next[flow] = {next[flow].first + 1, ++order};
    }
    // A lane that ran dry begins anew.
    const bool dry = std::none_of(requests.begin(), requests.end(),
                                  [&](const Request& request) { return LaneOf(request) == lane; });
    if (!dry) return;
    round.erase(lane);
    std::erase_if(next, [&](const auto& entry) { return entry.first.first == lane; });
  }
  // Whose turn it is in `pool`; nullptr: nobody waits.
  const Request* First(const std::string& pool) const {
    const Request* best = nullptr;
    const auto key = [this](const Request& request) {
      return std::pair(request.priority, next.at(FlowOf(request)));
    };
    for (const Request& request : requests) {  // in order of arrival
      if (request.pool != pool) continue;
      if (best == nullptr || key(request) < key(*best)) best = &request;
    }
    return best;
  }

  std::vector<Request> requests;
  std::map<Flow, std::pair<uint64_t, uint64_t>> next;  // round and order of its first request
  std::map<Lane, uint64_t> round;
  uint64_t order = 0;
};

class AdmissionQueuePropertyTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(AdmissionQueuePropertyTest, DoesAsTheReferenceDoes) {
  CounterRandom random(GetParam(), 0);
  const size_t most = 1 + random.Below(30);
  const uint64_t tenants = 1 + random.Below(6);
  const uint64_t priorities = 1 + random.Below(3);
  const uint64_t pools = 1 + random.Below(3);
  AdmissionQueue queue(most);
  Reference reference;
  AdmissionQueue::Id next_id = 1;
  // Since when two flows have both had somebody waiting: how often each was served.
  std::map<std::pair<Reference::Flow, Reference::Flow>, std::pair<int, int>> served;

  for (int step = 0; step < 3000; ++step) {
    const uint64_t what = random.Below(10);
    if (what < 5) {
      const Reference::Request request{next_id++, absl::StrCat("pool-", random.Below(pools)),
                                       absl::StrCat("tenant-", random.Below(tenants)),
                                       static_cast<uint32_t>(random.Below(priorities))};
      const AdmissionQueue::Place place{request.pool, request.priority, request.tenant};
      const auto pushed = queue.Push(request.id, place);
      const size_t mine = reference.Waiting(Reference::FlowOf(request));
      if (reference.requests.size() < most) {
        ASSERT_TRUE(pushed.taken);
        ASSERT_EQ(pushed.pushed_out, 0u);
      } else if (pushed.taken) {
        const auto out = std::find_if(reference.requests.begin(), reference.requests.end(),
                                      [&](const auto& of) { return of.id == pushed.pushed_out; });
        ASSERT_NE(out, reference.requests.end());
        const Reference::Flow flow = Reference::FlowOf(*out);
        // Nobody is less urgent, or as urgent with more waiting, and it is the flow's newest.
        for (const Reference::Request& other : reference.requests) {
          ASSERT_LE(other.priority, out->priority);
          if (other.priority == out->priority) {
            ASSERT_LE(reference.Waiting(Reference::FlowOf(other)), reference.Waiting(flow));
          }
          if (Reference::FlowOf(other) == flow) {
            ASSERT_LE(other.id, out->id);
          }
        }
        ASSERT_TRUE(out->priority > request.priority ||
                    (out->priority == request.priority && reference.Waiting(flow) > mine + 1));
        reference.Remove(out->id, false);
      } else {
        for (const Reference::Request& other : reference.requests) {
          ASSERT_LE(other.priority, request.priority);
          if (other.priority == request.priority) {
            ASSERT_LE(reference.Waiting(Reference::FlowOf(other)), mine + 1);
          }
        }
      }
      if (pushed.taken) reference.Push(request);
    } else if (what < 6 && !reference.requests.empty()) {
      const auto id = reference.requests[random.Below(reference.requests.size())].id;
      ASSERT_TRUE(queue.Remove(id));
      ASSERT_FALSE(queue.Remove(id));
      reference.Remove(id, false);
    } else {
      const std::string full = absl::StrCat("pool-", random.Below(pools + 1));  // maybe none
      const auto id = queue.Pop([&](absl::string_view pool) { return pool != full; });
      bool anybody = false;
      uint32_t most_urgent = AdmissionQueue::kPriorities;
      for (const Reference::Request& request : reference.requests) {
        if (request.pool == full) continue;
        anybody = true;
        most_urgent = std::min(most_urgent, request.priority);
      }
      ASSERT_EQ(id != 0, anybody);
      if (id != 0) {
        const auto popped = std::find_if(reference.requests.begin(), reference.requests.end(),
                                         [&](const auto& of) { return of.id == id; });
        ASSERT_NE(popped, reference.requests.end());
        ASSERT_NE(popped->pool, full);
        ASSERT_EQ(popped->priority, most_urgent);
        ASSERT_EQ(reference.First(popped->pool)->id, id);
        for (auto& [flows, counts] : served) {
          if (Reference::FlowOf(*popped) == flows.first) ++counts.first;
          if (Reference::FlowOf(*popped) == flows.second) ++counts.second;
        }
        reference.Remove(id, true);
      }
    }
    ASSERT_EQ(queue.size(), reference.requests.size());
    ASSERT_LE(queue.size(), most);
    // Between flows of one lane that both have somebody waiting all along: one request's
    // difference.
    std::map<Reference::Flow, size_t> waiting;
    for (const auto& request : reference.requests) ++waiting[Reference::FlowOf(request)];
    std::erase_if(served, [&](const auto& entry) {
      return waiting.count(entry.first.first) == 0 || waiting.count(entry.first.second) == 0;
    });
    for (const auto& [one, count_of_one] : waiting) {
      for (const auto& [other, count_of_other] : waiting) {
        if (one < other && one.first == other.first) served.insert({{one, other}, {0, 0}});
      }
    }
    for (const auto& [flows, counts] : served) {
      ASSERT_LE(std::abs(counts.first - counts.second), 1) << flows.first.second;
    }
  }

  // Whoever comes last goes in after exactly as many as it was told.
  const std::string tenant = absl::StrCat("tenant-", random.Below(tenants));
  const AdmissionQueue::Place place{"pool-0", static_cast<uint32_t>(random.Below(priorities)),
                                    tenant};
  queue.SetMost(most + 1);
  const size_t ahead = queue.Ahead(place);
  ASSERT_TRUE(queue.Push(next_id, place).taken);
  size_t popped = 0;
  while (queue.Pop([](absl::string_view pool) { return pool == "pool-0"; }) != next_id) ++popped;
  EXPECT_EQ(popped, ahead);
}

INSTANTIATE_TEST_SUITE_P(Seeds, AdmissionQueuePropertyTest, ::testing::Range<uint64_t>(0, 200));

}  // namespace
}  // namespace penstock::gateway
