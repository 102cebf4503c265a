#include "router_service/learning/count/count_trainer.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/router_service/learning/cascades/synthetic_table.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

// Where z > 0 everybody is right; else the first is wrong and the other two agree on what is right.
OutcomeTable EasyAndHard(size_t rows, uint64_t seed) {
  return SyntheticTable(rows, seed, [](CounterRandom& random, float& z) {
    z = static_cast<float>(2 * random.Uniform() - 1);
    const bool easy = z > 0;
    return std::vector<Outcome>{
        {easy ? 1.0f : 0.0f, {-1, 0}, 1, easy ? 1u : 2u}, {1, {-1, 0}, 1, 1}, {1, {-1, 0}, 1, 1}};
  });
}

// The first is believed to be the best.
std::vector<float> Believed(const OutcomeTable& table) {
  std::vector<float> predictions;
  for (size_t e = 0; e < 3; ++e) {
    predictions.insert(predictions.end(), table.rows(), 0.9f - 0.1f * static_cast<float>(e));
  }
  return predictions;
}

CountFit Fit(const OutcomeTable& train, std::optional<double> share = std::nullopt) {
  CountOptions options;
  options.most = 3;
  options.share = share;
  return FitCount(train, FoldsOf(train), 5, Believed(train), options);
}

TEST(FitCount, AsksOneForWhatIsEasy) {
  const OutcomeTable train = EasyAndHard(1000, 1), heldout = EasyAndHard(500, 2);
  const CountFit fit = Fit(train);
  const CountGate gate(fit.weight, fit.bias);
  EXPECT_EQ(gate.Count({0.8f}), 1u);
  EXPECT_EQ(gate.Count({-0.8f}), 3u);
  const CountReport report = EvaluateCount(gate, heldout, Believed(heldout));
  EXPECT_NEAR(report.fixed[0], 0.5, 0.08);
  EXPECT_NEAR(report.fixed[2], 1, 1e-9);
  EXPECT_GT(report.quality, 0.9);
  EXPECT_NEAR(report.mean_count, 2, 0.2);
}

TEST(FitCount, MeetsAShareOnRequestsNotSeen) {
  const OutcomeTable train = EasyAndHard(2000, 3), heldout = EasyAndHard(2000, 4);
  for (const double share : {0.4, 0.6, 0.9}) {
    const CountFit fit = Fit(train, share);
    const CountReport report =
        EvaluateCount(CountGate(fit.weight, fit.bias), heldout, Believed(heldout));
    EXPECT_NEAR(report.mean_count / 3, share, 0.03) << share;
  }
}

TEST(FitCount, HasNoMoreCountsThanExperts) {
  const OutcomeTable train = EasyAndHard(200, 5);
  CountOptions options;
  options.most = 16;
  EXPECT_EQ(FitCount(train, FoldsOf(train), 5, Believed(train), options).counts(), 3u);
}

TEST(CheckCount, NamesWhatIsWrong) {
  CountOptions options;
  EXPECT_TRUE(CheckCount(options).ok());
  options.factor = 1;
  EXPECT_THAT(std::string(CheckCount(options).message()), HasSubstr("count is 1"));
  options = CountOptions();
  options.most = 1;
  EXPECT_THAT(std::string(CheckCount(options).message()), HasSubstr("count_most is 1"));
  options = CountOptions();
  options.share = 0.1;
  EXPECT_THAT(std::string(CheckCount(options).message()), HasSubstr("count_share is 0.1"));
}

}  // namespace
}  // namespace penstock::router
