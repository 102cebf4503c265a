#include "router_service/selection/sinkhorn_assigner.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <vector>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;

constexpr double kNo = BatchProblem::kInadmissible;

struct Problem {
  std::vector<double> affinity;
  std::vector<uint32_t> capacity;
  size_t requests() const { return affinity.size() / capacity.size(); }
  BatchProblem view() const { return {requests(), affinity, capacity}; }
};

// Small enough to try every assignment.
Problem Draw(uint64_t number, bool masks) {
  CounterRandom random(77, number);
  Problem problem;
  const size_t experts = 2 + random.Below(2);
  const size_t requests = 3 + random.Below(5);
  for (size_t j = 0; j < experts; ++j) {
    problem.capacity.push_back(static_cast<uint32_t>(random.Below(5)));
  }
  for (size_t at = 0; at < requests * experts; ++at) {
    problem.affinity.push_back(masks && random.Below(4) == 0 ? kNo : random.Uniform());
  }
  return problem;
}

struct Best {
  size_t placed = 0;
  double affinity = 0;
};

// Of those that place the most, the one with the largest sum, by trying all.
Best BruteForce(const Problem& problem) {
  const size_t experts = problem.capacity.size(), requests = problem.requests();
  Best best;
  std::vector<size_t> choice(requests, 0);  // `experts`: nobody
  for (;;) {
    std::vector<uint32_t> used(experts, 0);
    Best at;
    bool possible = true;
    for (size_t i = 0; i < requests && possible; ++i) {
      if (choice[i] == experts) continue;
      const double affinity = problem.affinity[i * experts + choice[i]];
      possible = std::isfinite(affinity) && ++used[choice[i]] <= problem.capacity[choice[i]];
      ++at.placed;
      at.affinity += affinity;
    }
    if (possible &&
        (at.placed > best.placed || (at.placed == best.placed && at.affinity > best.affinity))) {
      best = at;
    }
    size_t i = 0;
    while (i < requests && ++choice[i] > experts) choice[i++] = 0;
    if (i == requests) return best;
  }
}

std::vector<int32_t> Assign(const Problem& problem, TransportOptions options) {
  SinkhornAssigner assigner(options);
  std::vector<int32_t> expert(problem.requests());
  assigner.Assign(problem.view(), absl::MakeSpan(expert));
  return expert;
}

// What was placed and its sum; fails where a capacity or a mask is broken.
Best Check(const Problem& problem, const std::vector<int32_t>& expert) {
  std::vector<uint32_t> used(problem.capacity.size(), 0);
  Best result;
  for (size_t i = 0; i < expert.size(); ++i) {
    if (expert[i] == BatchAssigner::kUnassigned) continue;
    const size_t j = static_cast<size_t>(expert[i]);
    EXPECT_TRUE(std::isfinite(problem.affinity[i * problem.capacity.size() + j]));
    EXPECT_LE(++used[j], problem.capacity[j]);
    ++result.placed;
    result.affinity += problem.affinity[i * problem.capacity.size() + j];
  }
  return result;
}

TEST(SinkhornAssignerTest, PlacesAsManyAsCanBeAndNearlyAsWell) {
  double ours = 0, best = 0;
  size_t placed = 0;
  for (uint64_t number = 0; number < 400; ++number) {
    const Problem problem = Draw(number, number % 2 == 0);
    const Best exact = BruteForce(problem);
    const Best got = Check(problem, Assign(problem, {.columns = ColumnRule::kLimit}));
    ASSERT_EQ(got.placed, exact.placed) << number;
    EXPECT_LE(got.affinity, exact.affinity + 1e-9);
    placed += got.placed;
    ours += got.affinity;
    best += exact.affinity;
  }
  EXPECT_GT(placed, 1000u);
  EXPECT_GT(ours, 0.99 * best);
}

TEST(SinkhornAssignerTest, SharesBalanceTheLoad) {
  Problem problem;
  problem.capacity = {8, 4, 4};
  CounterRandom random(5, 1);
  for (size_t i = 0; i < 8; ++i) {
    // Everybody likes the last one best.
    for (size_t j = 0; j < 3; ++j) {
      problem.affinity.push_back(random.Uniform() + static_cast<double>(j));
    }
  }
  const std::vector<int32_t> expert = Assign(problem, {.entropy = 0.1});
  EXPECT_EQ(std::count(expert.begin(), expert.end(), 0), 4);
  EXPECT_EQ(std::count(expert.begin(), expert.end(), 1), 2);
  EXPECT_EQ(std::count(expert.begin(), expert.end(), 2), 2);
  // Limits leave the choice to the requests while there is room.
  const std::vector<int32_t> free = Assign(problem, {.columns = ColumnRule::kLimit});
  EXPECT_EQ(std::count(free.begin(), free.end(), 2), 4);
  EXPECT_EQ(std::count(free.begin(), free.end(), 1), 4);
}

TEST(SinkhornAssignerTest, MorePeopleThanPlaces) {
  const Problem problem{{.9, .1, .8, .2, .7, .3, .6, .4}, {1, 2}};
  for (const ColumnRule rule : {ColumnRule::kShare, ColumnRule::kLimit}) {
    const Best got = Check(problem, Assign(problem, {.columns = rule}));
    EXPECT_EQ(got.placed, 3u);
  }
}

TEST(SinkhornAssignerTest, AChainOfMovesMakesRoom) {
  // The first two would take both places that the third one's only expert has.
  const Problem problem{{1, .1, kNo, 1, kNo, .1, 1e-3, kNo, kNo}, {2, 1, 1}};
  const std::vector<int32_t> expert = Assign(problem, {.columns = ColumnRule::kLimit});
  EXPECT_EQ(Check(problem, expert).placed, 3u);
  EXPECT_EQ(expert[2], 0);
}

TEST(SinkhornAssignerTest, SwapsImproveWhatRoundingLeft) {
  // Alone, (0, 0) is the largest entry; the pair is worth more the other way round.
  const Problem problem{{1.0, .95, .99, .1}, {1, 1}};
  EXPECT_THAT(Assign(problem, {.entropy = 10}), ElementsAre(1, 0));
}

TEST(SinkhornAssignerTest, NobodyHasRoomOrMayAnswer) {
  EXPECT_THAT(Assign({{.5, .5}, {0, 0}}, {}), ElementsAre(BatchAssigner::kUnassigned));
  EXPECT_THAT(Assign({{kNo, kNo, .5, kNo}, {3, 3}}, {}),
              ElementsAre(BatchAssigner::kUnassigned, 0));
}

TEST(SinkhornAssignerTest, TiesGoToTheLowestIds) {
  const Problem problem{std::vector<double>(6, 0.5), {1, 1, 1}};
  const std::vector<int32_t> once = Assign(problem, {.columns = ColumnRule::kLimit});
  EXPECT_THAT(once, ElementsAre(0, 1));
}

}  // namespace
}  // namespace penstock::router
