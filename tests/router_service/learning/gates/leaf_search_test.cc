#include "router_service/learning/gates/leaf_search.h"

#include <algorithm>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

// Leaves whose expert is not the wanted one.
double Misplaced(const std::vector<size_t>& leaf_expert) {
  const std::vector<size_t> wanted = {3, 1, 4, 0, 2, 2, 4, 1, 3, 0};
  double misplaced = 0;
  for (size_t i = 0; i < wanted.size(); ++i) misplaced += leaf_expert[i] != wanted[i];
  return misplaced;
}

const std::vector<size_t> kInOrder = {0, 1, 2, 3, 4, 0, 1, 2, 3, 4};

TEST(SearchLeaves, FindsThePlacingThatIsWanted) {
  std::vector<size_t> leaf_expert = kInOrder;
  CounterRandom random(1, 1);
  const LeafSearch search = SearchLeaves(5, 200, random, Misplaced, leaf_expert);
  EXPECT_EQ(search.loss, 0);
  EXPECT_EQ(Misplaced(leaf_expert), 0);
  EXPECT_EQ(search.swaps, 200u);
  EXPECT_GT(search.accepted, 0u);
}

TEST(SearchLeaves, NeverMakesItWorseAndKeepsAPermutationPerTree) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<size_t> leaf_expert = kInOrder;
    CounterRandom random(seed, 0);
    const LeafSearch search = SearchLeaves(5, 7, random, Misplaced, leaf_expert);
    EXPECT_LE(search.loss, Misplaced(kInOrder));
    EXPECT_EQ(search.loss, Misplaced(leaf_expert));
    for (const size_t tree : {0u, 5u}) {
      EXPECT_EQ(std::set<size_t>(leaf_expert.begin() + static_cast<std::ptrdiff_t>(tree),
                                 leaf_expert.begin() + static_cast<std::ptrdiff_t>(tree + 5))
                    .size(),
                5u);
    }
  }
}

TEST(SearchLeaves, IsTheSameForTheSameSeed) {
  std::vector<size_t> one = kInOrder, two = kInOrder;
  CounterRandom a(9, 9), b(9, 9);
  SearchLeaves(5, 20, a, Misplaced, one);
  SearchLeaves(5, 20, b, Misplaced, two);
  EXPECT_EQ(one, two);
}

TEST(SearchLeaves, UndoesWhatGainsNothing) {
  std::vector<size_t> leaf_expert = kInOrder;
  CounterRandom random(1, 1);
  const LeafSearch search = SearchLeaves(
      5, 50, random, [](const std::vector<size_t>&) { return 1.0; }, leaf_expert);
  EXPECT_EQ(search.accepted, 0u);
  EXPECT_EQ(leaf_expert, kInOrder);
}

TEST(SearchLeaves, HasNothingToTryWithOneExpert) {
  std::vector<size_t> leaf_expert = {0};
  CounterRandom random(1, 1);
  EXPECT_EQ(SearchLeaves(
                1, 50, random, [](const std::vector<size_t>&) { return 1.0; }, leaf_expert)
                .swaps,
            0u);
}

}  // namespace
}  // namespace penstock::router
