#include "router_service/learning/linear/logistic_heads.h"

#include <cmath>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

constexpr size_t kRows = 8000;

// Head 0: P = sigma(2 z0 - 1); head 1: always right; head 2: P = 0.3 whatever z.
struct Table {
  std::vector<float> x, labels = std::vector<float>(3 * kRows);
  std::vector<int> fold;
};

Table Draw() {
  Table table;
  for (size_t row = 0; row < kRows; ++row) {
    CounterRandom random(31, row);
    const double z0 = 4 * random.Uniform() - 2;
    table.x.push_back(static_cast<float>(z0));
    table.x.push_back(static_cast<float>(random.Uniform()));
    table.fold.push_back(static_cast<int>(random.Below(5)));
    table.labels[row] = random.Uniform() < 1 / (1 + std::exp(1 - 2 * z0));
    table.labels[kRows + row] = 1;
    table.labels[2 * kRows + row] = random.Uniform() < 0.3;
  }
  return table;
}

const LogisticHeads& Fitted() {
  static const LogisticHeads& heads = *new LogisticHeads([] {
    const Table table = Draw();
    return FitCalibratedHeads(table.x, 2, table.labels, 3, table.fold, {{1, 0.1, 0.01, 0.001}, 5});
  }());
  return heads;
}

TEST(LogisticHeads, RecoversAPlantedHead) {
  EXPECT_NEAR(Fitted().weight[0], 2, 0.15);
  EXPECT_NEAR(Fitted().weight[1], 0, 0.15);
  EXPECT_NEAR(Fitted().bias[0], -1, 0.15);
}

TEST(LogisticHeads, HoldsAnExpertThatIsAlwaysRightBelowOne) {
  EXPECT_NEAR(Fitted().Predict(1, {2.0f, 0.5f}), (kRows + 0.5) / (kRows + 1), 1e-6);
}

TEST(LogisticHeads, ChoosesMuchRegularisationWhereFeaturesTellNothing) {
  EXPECT_GT(Fitted().l2[2], Fitted().l2[0]);
  EXPECT_NEAR(Fitted().Predict(2, {-2.0f, 0.0f}), 0.3, 0.03);
  EXPECT_NEAR(Fitted().Predict(2, {2.0f, 1.0f}), 0.3, 0.03);
}

TEST(LogisticHeads, TellsEachHeadsMean) { EXPECT_NEAR(Fitted().mean[2], 0.3, 0.02); }

TEST(LogisticHeads, LeavesOutUnknownLabels) {
  Table table = Draw();
  for (size_t row = 0; row < kRows; ++row) {
    if (row % 2 == 1) table.labels[row] = std::nanf("");
  }
  const LogisticHeads heads =
      FitCalibratedHeads(table.x, 2, table.labels, 3, table.fold, {{0.1, 0.01}, 5});
  EXPECT_NEAR(heads.weight[0], 2, 0.3);
}

TEST(LogisticHeads, IsOneHalfWithoutLabels) {
  const std::vector<float> x = {1, 2}, labels = {std::nanf(""), std::nanf("")};
  const LogisticHeads heads = FitCalibratedHeads(x, 1, labels, 1, {0, 1}, {{0.1}, 2});
  EXPECT_EQ(heads.Predict(0, {5.0f}), 0.5f);
}

}  // namespace
}  // namespace penstock::router
