#include "kernels/route_topk/route_topk.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using RouteTopKTest = KernelTest<RouteTopKImpl, RouteTopKImpls>;
INSTANTIATE_TEST_SUITE_P(All, RouteTopKTest, testing::ValuesIn(Names(RouteTopKImpls())), ParamName);

constexpr RouteScore kScores[] = {RouteScore::kSoftmax, RouteScore::kSigmoid,
                                  RouteScore::kSqrtSoftplus};

struct Routes {
  std::vector<int32_t> ids;
  std::vector<float> weights;
  std::vector<float> scores;
  int64_t degenerate = 0;
};

// args.rows from the size of logits; outputs poisoned before.
Routes Compute(const RouteTopKImpl& impl, RouteTopKArgs args, const std::vector<float>& logits) {
  args.rows = static_cast<int64_t>(logits.size()) / args.experts;
  Routes routes;
  routes.ids.assign(static_cast<size_t>(args.rows * args.k), -77);
  routes.weights = Poison(args.rows * args.k);
  routes.scores = Poison(args.rows * args.experts);
  args.logits = logits.data();
  args.ids = routes.ids.data();
  args.weights = routes.weights.data();
  args.degenerate_rows = &routes.degenerate;
  if (impl.isa != Isa::kCuda) args.scores = routes.scores.data();
  EXPECT_TRUE(impl.run(args).ok());
  return routes;
}

RouteTopKArgs Args(int64_t experts, int64_t k, RouteScore score = RouteScore::kSoftmax) {
  RouteTopKArgs args;
  args.experts = experts;
  args.k = k;
  args.score = score;
  return args;
}

void ExpectSame(const Routes& a, const Routes& b) {
  EXPECT_EQ(a.ids, b.ids);
  ASSERT_EQ(a.weights.size(), b.weights.size());
  EXPECT_TRUE(SameBits(a.weights.data(), b.weights.data(), static_cast<int64_t>(a.weights.size())));
  EXPECT_TRUE(SameBits(a.scores.data(), b.scores.data(), static_cast<int64_t>(a.scores.size())));
  EXPECT_EQ(a.degenerate, b.degenerate);
}

std::string Case(int64_t experts, int64_t k, RouteScore score) {
  return "experts=" + std::to_string(experts) + " k=" + std::to_string(k) +
         " score=" + std::to_string(static_cast<int>(score));
}

TEST_P(RouteTopKTest, EqualsReferenceBitForBit) {
  for (int64_t experts : {1, 2, 8, 60, 64, 127, 128, 256, 384, 512}) {
    for (int64_t k : {int64_t{1}, int64_t{2}, int64_t{8}, int64_t{10}, experts}) {
      if (k > experts) continue;
      for (RouteScore score : kScores) {
        SCOPED_TRACE(Case(experts, k, score));
        RouteTopKArgs args = Args(experts, k, score);
        std::vector<float> logits = RandomFloats(9 * experts, 1, 4.0f);
        logits[0] = kNan;
        logits[static_cast<size_t>(experts) * 2] = kInf;
        logits[static_cast<size_t>(experts) * 3] = -kInf;
        std::fill_n(logits.begin() + experts * 4, experts, kNan);
        ExpectSame(Compute(impl(), args, logits), Compute(reference(), args, logits));
        const std::vector<float> bias = RandomFloats(experts, 2, 0.3f);
        args.bias = bias.data();
        args.renorm = false;
        ExpectSame(Compute(impl(), args, logits), Compute(reference(), args, logits));
      }
    }
  }
}

// Groups of every size and rank: 1, 2 and more experts, one and several vectors, tails.
TEST_P(RouteTopKTest, GroupsEqualReferenceBitForBit) {
  uint32_t seed = 100;
  for (int64_t experts : {8, 60, 64, 128, 256, 384}) {
    for (int64_t groups : {2, 4, 8, 20, 32}) {
      if (experts % groups != 0) continue;
      for (int64_t kept : {int64_t{1}, int64_t{2}, groups}) {
        for (int64_t top : {0, 1, 2, 4}) {
          const int64_t k = kept * std::max<int64_t>(1, std::min<int64_t>(8, experts) / kept);
          if (top > experts / groups || k > experts) continue;
          for (RouteScore score : kScores) {
            SCOPED_TRACE(Case(experts, k, score) + " groups=" + std::to_string(groups) +
                         " kept=" + std::to_string(kept) + " top=" + std::to_string(top) +
                         " seed=" + std::to_string(++seed));
            RouteTopKArgs args = Args(experts, k, score);
            args.groups = groups;
            args.groups_kept = kept;
            args.group_top = top;
            std::vector<float> logits = RandomFloats(6 * experts, seed, 3.0f);
            for (size_t i = 0; i < logits.size(); i += 5) logits[i] = std::round(logits[i]);
            for (size_t i = 0; i < logits.size(); i += 7) logits[i] = i % 2 == 0 ? kNan : -kInf;
            std::fill_n(logits.begin() + experts, experts / groups, -kInf);
            ExpectSame(Compute(impl(), args, logits), Compute(reference(), args, logits));
            std::vector<float> bias = RandomFloats(experts, seed + 1, 0.3f);
            bias[0] = kNan;
            args.bias = bias.data();
            args.group_top = std::min(top, experts / groups);
            if (top == 0 && experts / groups < 2) args.group_top = 1;
            ExpectSame(Compute(impl(), args, logits), Compute(reference(), args, logits));
          }
        }
      }
    }
  }
}

TEST_P(RouteTopKTest, OneGroupIsNoGroup) {
  const std::vector<float> logits = RandomFloats(5 * 24, 21);
  RouteTopKArgs grouped = Args(24, 6, RouteScore::kSigmoid);
  grouped.groups = grouped.groups_kept = 6;  // all are kept
  ExpectSame(Compute(impl(), grouped, logits),
             Compute(impl(), Args(24, 6, RouteScore::kSigmoid), logits));
}

// Group 0 has the best expert, group 1 the best pair, group 2 the best three.
TEST_P(RouteTopKTest, GroupsRankByTheirBestByTheirBestTwoOrByMore) {
  const std::vector<float> logits = {3, -9, -9, 2.5f, 2, -9, 2.4f, 1.9f, 1.8f};
  const std::vector<float> zero(9, 0);
  RouteTopKArgs args = Args(9, 1, RouteScore::kSqrtSoftplus);
  args.groups = 3;
  EXPECT_EQ(Compute(impl(), args, logits).ids, (std::vector<int32_t>{0}));
  args.bias = zero.data();
  EXPECT_EQ(Compute(impl(), args, logits).ids, (std::vector<int32_t>{3}));
  args.k = 3;
  args.group_top = 3;  // Megatron: k / groups_kept
  EXPECT_EQ(Compute(impl(), args, logits).ids, (std::vector<int32_t>{6, 7, 8}));
}

TEST_P(RouteTopKTest, EqualGroupsByLowerGroup) {
  RouteTopKArgs args = Args(8, 4);
  args.groups = 4;
  args.groups_kept = 2;
  EXPECT_EQ(Compute(impl(), args, std::vector<float>(8, 1)).ids,
            (std::vector<int32_t>{0, 1, 2, 3}));
}

// Two groups are kept, with three experts that can be selected: the rest is unused.
TEST_P(RouteTopKTest, KeptGroupsMayHoldFewerThanK) {
  RouteTopKArgs args = Args(8, 4, RouteScore::kSigmoid);
  args.groups = 4;
  args.groups_kept = 2;
  const Routes routes = Compute(impl(), args, {kNan, 5, -kInf, -kInf, 1, 2, 0, 0});
  EXPECT_EQ(routes.ids, (std::vector<int32_t>{1, 5, 4, kUnusedSlot}));
  EXPECT_EQ(routes.weights[3], 0.0f);
  EXPECT_NEAR(std::accumulate(routes.weights.begin(), routes.weights.end(), 0.0f), 1, 1e-6);
}

TEST_P(RouteTopKTest, SqrtSoftplusAgainstFloat64) {
  RouteTopKArgs args = Args(9, 9, RouteScore::kSqrtSoftplus);
  args.renorm = false;
  const std::vector<float> logits = {60, 20, 3, 0.5f, 0, -1, -4, -20, -60};
  const Routes routes = Compute(impl(), args, logits);
  for (size_t i = 0; i < logits.size(); ++i) {
    EXPECT_EQ(routes.ids[i], static_cast<int32_t>(i));
    const double score = std::sqrt(std::log1p(std::exp(static_cast<double>(logits[i]))));
    EXPECT_NEAR(static_cast<double>(routes.weights[i]) / score, 1, 1e-6);
  }
}

TEST_P(RouteTopKTest, ScoresAreGivenOut) {
  if (impl().isa == Isa::kCuda) GTEST_SKIP() << "no scores from the device";
  const Routes routes = Compute(impl(), Args(3, 1), {1, kNan, 2, -kInf, kNan, -kInf});
  const double sum = std::exp(1.0) + std::exp(2.0);
  EXPECT_NEAR(routes.scores[0], std::exp(1.0) / sum, 1e-6);
  EXPECT_EQ(routes.scores[1], 0.0f);
  EXPECT_NEAR(routes.scores[2], std::exp(2.0) / sum, 1e-6);
  for (size_t e = 3; e < 6; ++e) EXPECT_EQ(routes.scores[e], 0.0f);
}

// Against exp in float64: the yardstick shares its recipe with the entries.
TEST_P(RouteTopKTest, WeightsAreSoftmaxAndSigmoid) {
  const std::vector<float> logits = {1.0f, 3.0f, -2.0f, 2.5f};
  RouteTopKArgs args = Args(4, 2);
  args.renorm = false;
  double sum = 0;
  for (float z : logits) sum += std::exp(static_cast<double>(z));
  Routes routes = Compute(impl(), args, logits);
  EXPECT_EQ(routes.ids, (std::vector<int32_t>{1, 3}));
  EXPECT_NEAR(routes.weights[0], std::exp(3.0) / sum, 1e-6);
  EXPECT_NEAR(routes.weights[1], std::exp(2.5) / sum, 1e-6);
  args.score = RouteScore::kSigmoid;
  args.scale = 2;
  routes = Compute(impl(), args, logits);
  EXPECT_NEAR(routes.weights[0], 2 / (1 + std::exp(-3.0)), 1e-6);
  args.renorm = true;
  routes = Compute(impl(), args, logits);
  const double a = 1 / (1 + std::exp(-3.0)), b = 1 / (1 + std::exp(-2.5));
  EXPECT_NEAR(routes.weights[1], 2 * b / (a + b), 1e-6);
}

TEST_P(RouteTopKTest, BreaksTiesByLowerId) {
  for (int64_t experts : {5, 16, 40}) {
    for (RouteScore score : kScores) {
      const Routes routes = Compute(impl(), Args(experts, 5, score),
                                    std::vector<float>(static_cast<size_t>(experts), 0.5f));
      EXPECT_EQ(routes.ids, (std::vector<int32_t>{0, 1, 2, 3, 4}));
    }
  }
}

// Few values among many experts: from a handful to all of them are as good as the k-th.
TEST_P(RouteTopKTest, ManyTiesEqualReference) {
  uint32_t seed = 300;
  for (int64_t experts : {16, 48, 65, 200, 256, 400}) {
    for (int64_t k : {1, 3, 8, 15, 16, 17, 40}) {
      if (k > experts) continue;
      for (float step : {0.25f, 1.0f, 4.0f, 100.0f}) {
        for (RouteScore score : kScores) {
          SCOPED_TRACE(Case(experts, k, score) + " step=" + std::to_string(step) +
                       " seed=" + std::to_string(++seed));
          std::vector<float> logits = RandomFloats(5 * experts, seed, 4.0f);
          for (float& z : logits) z = std::round(z / step) * step;
          // All equal but the best, which is last; fewer than k that can be selected.
          std::fill_n(logits.begin() + experts, experts, -0.0f);
          logits[static_cast<size_t>(2 * experts - 1)] = 1;
          std::fill_n(logits.begin() + 2 * experts, experts - experts / 16, -kInf);
          ExpectSame(Compute(impl(), Args(experts, k, score), logits),
                     Compute(reference(), Args(experts, k, score), logits));
        }
      }
    }
  }
}

TEST_P(RouteTopKTest, ZeroesOfBothSignsTie) {
  EXPECT_EQ(Compute(impl(), Args(3, 3), {-0.0f, 0.0f, -0.0f}).ids, (std::vector<int32_t>{0, 1, 2}));
}

// Saturated sigmoids are equal in float32, whatever their logits.
TEST_P(RouteTopKTest, ComparesScoresInFloat32) {
  EXPECT_EQ(Compute(impl(), Args(3, 2, RouteScore::kSigmoid), {40.0f, 50.0f, 60.0f}).ids,
            (std::vector<int32_t>{0, 1}));
}

TEST_P(RouteTopKTest, NanAndNegativeInfinityAreNeverSelected) {
  const std::vector<float> bias(4, 10.0f);
  for (RouteScore score : kScores) {
    RouteTopKArgs args = Args(4, 3, score);
    args.bias = bias.data();
    const Routes routes = Compute(impl(), args, {kNan, 1.0f, -kInf, 2.0f});
    EXPECT_EQ(routes.ids, (std::vector<int32_t>{3, 1, kUnusedSlot}));
    EXPECT_EQ(routes.weights[2], 0.0f);
    EXPECT_NEAR(routes.weights[0] + routes.weights[1], 1.0f, 1e-6);
    EXPECT_EQ(routes.degenerate, 0);
  }
}

TEST_P(RouteTopKTest, PositiveInfinityWins) {
  const Routes routes = Compute(impl(), Args(3, 2), {1.0f, kInf, 2.0f});
  EXPECT_EQ(routes.ids, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(routes.weights, (std::vector<float>{1, 0}));
}

TEST_P(RouteTopKTest, CountsDegenerateRows) {
  const Routes routes =
      Compute(impl(), Args(2, 2), {kNan, kNan, 1.0f, 2.0f, -kInf, -kInf, kNan, -kInf});
  EXPECT_EQ(routes.ids, (std::vector<int32_t>{-1, -1, 1, 0, -1, -1, -1, -1}));
  EXPECT_EQ(routes.degenerate, 3);
  for (size_t i : {0, 1, 4, 5, 6, 7}) EXPECT_EQ(routes.weights[i], 0.0f);
}

TEST_P(RouteTopKTest, MaskedExpertsAreAbsent) {
  const uint8_t available[] = {1, 0, 1, 0};
  RouteTopKArgs args = Args(4, 3);
  args.available = available;
  args.renorm = false;
  const Routes routes = Compute(impl(), args, {1.0f, 50.0f, 1.0f, kInf});
  EXPECT_EQ(routes.ids, (std::vector<int32_t>{0, 2, kUnusedSlot}));
  EXPECT_EQ(routes.weights, (std::vector<float>{0.5f, 0.5f, 0}));
  const uint8_t none[] = {0, 0, 0, 0};
  args.available = none;
  EXPECT_EQ(Compute(impl(), args, {1.0f, 50.0f, 1.0f, kInf}).degenerate, 1);
}

TEST_P(RouteTopKTest, BiasSteersSelectionButNotWeights) {
  const std::vector<float> bias = {0, 0, 0.9f}, logits = {2.0f, 1.0f, 0.0f};
  RouteTopKArgs args = Args(3, 1, RouteScore::kSigmoid);
  args.renorm = false;
  args.bias = bias.data();
  const Routes routes = Compute(impl(), args, logits);
  EXPECT_EQ(routes.ids, (std::vector<int32_t>{2}));
  EXPECT_EQ(routes.weights, (std::vector<float>{0.5f}));
}

TEST_P(RouteTopKTest, NanBiasDisablesItsExpert) {
  const std::vector<float> bias = {kNan, 0};
  RouteTopKArgs args = Args(2, 2);
  args.bias = bias.data();
  EXPECT_EQ(Compute(impl(), args, {9.0f, 1.0f}).ids, (std::vector<int32_t>{1, kUnusedSlot}));
}

// Sigmoids of -90 sum to less than 1e-12: the weights still sum to the scale.
TEST_P(RouteTopKTest, VanishingSumSharesTheScale) {
  RouteTopKArgs args = Args(3, 2, RouteScore::kSigmoid);
  args.scale = 3;
  EXPECT_EQ(Compute(impl(), args, {-90.0f, -91.0f, -92.0f}).weights,
            (std::vector<float>{1.5f, 1.5f}));
}

TEST_P(RouteTopKTest, IdsAreDistinctAndWeightsSumToScale) {
  constexpr int64_t kExperts = 60, k = 10, kRows = 50;
  RouteTopKArgs args = Args(kExperts, k, RouteScore::kSigmoid);
  args.scale = 2.5f;
  const Routes routes = Compute(impl(), args, RandomFloats(kRows * kExperts, 3, 3.0f));
  for (int64_t t = 0; t < kRows; ++t) {
    const std::set<int32_t> ids(routes.ids.begin() + t * k, routes.ids.begin() + (t + 1) * k);
    EXPECT_EQ(ids.size(), static_cast<size_t>(k));
    EXPECT_GE(*ids.begin(), 0);
    EXPECT_LT(*ids.rbegin(), kExperts);
    const auto first = routes.weights.begin() + t * k;
    EXPECT_NEAR(std::accumulate(first, first + k, 0.0f), 2.5f, 1e-5);
    EXPECT_GE(*std::min_element(first, first + k), 0.0f);
  }
}

TEST_P(RouteTopKTest, PermutingExpertsPermutesIds) {
  for (int64_t experts : {1, 2, 8, 37, 60, 127, 256, 512}) {
    for (RouteScore score : kScores) {
      const int64_t k = std::min<int64_t>(experts, 5);
      SCOPED_TRACE(Case(experts, k, score) + " seed=4");
      const std::vector<float> logits = RandomFloats(experts, 4);
      const std::vector<float> reversed(logits.rbegin(), logits.rend());
      const Routes a = Compute(impl(), Args(experts, k, score), logits);
      const Routes b = Compute(impl(), Args(experts, k, score), reversed);
      for (size_t i = 0; i < static_cast<size_t>(k); ++i) {
        EXPECT_EQ(a.ids[i], experts - 1 - b.ids[i]);
        EXPECT_NEAR(a.weights[i], b.weights[i], 1e-6);
      }
    }
  }
}

TEST_P(RouteTopKTest, ConstantAddedToSoftmaxLogitsChangesNothing) {
  const std::vector<float> logits = {1, 2, 4, 3, -5}, shifted = {65, 66, 68, 67, 59};
  ExpectSame(Compute(impl(), Args(5, 3), logits), Compute(impl(), Args(5, 3), shifted));
}

TEST_P(RouteTopKTest, RowAloneEqualsRowInBatch) {
  constexpr int64_t kExperts = 41, k = 4, kRows = 67;
  const std::vector<float> logits = RandomFloats(kRows * kExperts, 5);
  const Routes batch = Compute(impl(), Args(kExperts, k), logits);
  for (int64_t t = 0; t < kRows; ++t) {
    const Routes alone =
        Compute(impl(), Args(kExperts, k),
                {logits.begin() + t * kExperts, logits.begin() + (t + 1) * kExperts});
    EXPECT_TRUE(std::equal(alone.ids.begin(), alone.ids.end(), batch.ids.begin() + t * k));
    EXPECT_TRUE(SameBits(alone.weights.data(), batch.weights.data() + t * k, k));
  }
}

TEST_P(RouteTopKTest, RefusesImpossibleK) {
  EXPECT_EQ(impl().run(Args(4, 5)).code, Code::kInvalidArgument);
  EXPECT_EQ(impl().run(Args(4, 0)).code, Code::kInvalidArgument);
  EXPECT_EQ(impl().run(Args(0, 1)).code, Code::kInvalidArgument);
  EXPECT_EQ(impl().run(Args(kMaxExperts + 1, 1)).code, Code::kUnsupported);
  EXPECT_TRUE(impl().run(Args(4, 2)).ok());  // no rows
  RouteTopKArgs args = Args(12, 4);
  args.groups = 5;
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
  args.groups = 4;
  for (int64_t kept : {0, 3, 5}) {  // 3 does not divide k
    args.groups_kept = kept;
    EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
  }
  args.groups_kept = 2;
  EXPECT_TRUE(impl().run(args).ok());
  args.group_top = 4;
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
