#include "router_service/learning/gates/kmeans.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;

const std::vector<double> kRows = {0, 0, 0, 1, 10, 10, 10, 11, 11, 10};  // five of two features

TEST(KMeans, FindsSeparateClusters) {
  const KMeansResult result = KMeans(kRows, 2, {1, 1, 9, 9}, {});
  EXPECT_TRUE(result.converged);
  EXPECT_THAT(result.cluster, ElementsAre(0, 0, 1, 1, 1));
  EXPECT_THAT(result.centroids, ElementsAre(0, 0.5, testing::DoubleNear(31.0 / 3, 1e-12),
                                            testing::DoubleNear(31.0 / 3, 1e-12)));
}

TEST(KMeans, SaysThatAClusterIsEmpty) {
  const KMeansResult result = KMeans(kRows, 2, {1, 1, 9, 9, 500, 500}, {});
  EXPECT_TRUE(result.has_empty_cluster);
  EXPECT_FALSE(result.converged);
}

TEST(KMeans, SaysThatItHasNotConverged) {
  const KMeansResult result = KMeans(kRows, 2, {1, 1, 9, 9}, {1, 1e-4});
  EXPECT_FALSE(result.converged);
  EXPECT_FALSE(result.has_empty_cluster);
}

TEST(KMeans, BreaksTiesByTheLowerCluster) {
  EXPECT_THAT(KMeans(std::vector<double>{0, 2, 4}, 1, {1, 3}, {}).cluster, ElementsAre(0, 0, 1));
}

TEST(SpreadCentroids, AreDifferentRowsAndTheSameEachTime) {
  const std::vector<double> one = SpreadCentroids(kRows, 2, 2, 7, 1);
  EXPECT_EQ(one, SpreadCentroids(kRows, 2, 2, 7, 1));
  ASSERT_EQ(one.size(), 4u);
  EXPECT_NE(std::vector<double>(one.begin(), one.begin() + 2),
            std::vector<double>(one.begin() + 2, one.end()));
}

TEST(SpreadCentroids, AreNoMoreThanTheRowsDiffer) {
  EXPECT_EQ(SpreadCentroids(std::vector<double>{5, 5, 5}, 1, 2, 7, 1).size(), 1u);
}

}  // namespace
}  // namespace penstock::router
