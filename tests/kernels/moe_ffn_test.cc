#include "kernels/moe_ffn/moe_ffn.h"

#include <algorithm>

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using MoeFfnTest = KernelTest<MoeFfnImpl, MoeFfnImpls>;
INSTANTIATE_TEST_SUITE_P(All, MoeFfnTest, testing::ValuesIn(Names(MoeFfnImpls())), ParamName);

using Ints = std::vector<int32_t>;

PackedMoe RandomMoe(int64_t experts, int64_t d, int64_t f, int64_t o) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  return PackedMoe(RandomFloats(experts * f * d, 1, scale).data(),
                   RandomFloats(experts * f * d, 2, scale).data(),
                   RandomFloats(experts * o * f, 3, scale).data(), experts, d, f, o);
}

std::vector<float> Compute(const MoeFfnImpl& impl, const MoeWeights& w, const Ints& ids, int64_t k,
                           const std::vector<float>& weights, const std::vector<float>& x,
                           const float* residual = nullptr) {
  const int64_t rows = static_cast<int64_t>(ids.size()) / k;
  Ints counts(static_cast<size_t>(w.count)), offsets(static_cast<size_t>(w.count) + 1),
      src(ids.size()), dst(ids.size());
  const PlanView plan = {counts.data(), offsets.data(), src.data(), dst.data()};
  EXPECT_TRUE(RoutePlan({rows, k, w.count, ids.data(), plan}).ok());
  std::vector<float> y = Poison(rows * w.o);
  GuardedWorkspace workspace(MoeFfnWorkspaceBytes(w, rows, k));
  EXPECT_TRUE(
      impl.run({w, rows, k, plan, weights.data(), x.data(), residual, y.data(), workspace.get()})
          .ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return y;
}

Ints RandomIds(int64_t count, int64_t experts, uint32_t seed) {
  std::mt19937 random(seed);
  Ints ids(static_cast<size_t>(count));
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % (experts + 1)) - 1;
  return ids;
}

TEST_P(MoeFfnTest, MatchesReference) {
  struct {
    int64_t rows, k, experts, d, f, o;
  } shapes[] = {
      {1, 1, 1, 1, 1, 1}, {20, 2, 7, 24, 40, 24}, {9, 3, 5, 17, 9, 11}, {130, 2, 3, 40, 24, 40}};
  for (const auto& s : shapes) {
    const PackedMoe moe = RandomMoe(s.experts, s.d, s.f, s.o);
    const Ints ids = RandomIds(s.rows * s.k, s.experts, 4);
    const std::vector<float> weights = RandomFloats(s.rows * s.k, 5);
    const std::vector<float> x = RandomFloats(s.rows * s.d, 6, 2.0f);
    const std::vector<float> residual = RandomFloats(s.rows * s.o, 7);
    EXPECT_LE(
        RelativeError(Compute(impl(), moe.weights(), ids, s.k, weights, x, residual.data()),
                      Compute(reference(), moe.weights(), ids, s.k, weights, x, residual.data())),
        kTolerance)
        << s.rows;
  }
}

// A format of its own for every matrix of every expert, in one call.
PackedMoe MixedMoe(int64_t experts, int64_t d, int64_t f, int64_t o) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  const auto formats = WeightFormats();
  std::vector<PackedGatedMlp> all;
  for (int64_t e = 0; e < experts; ++e) {
    const auto seed = static_cast<uint32_t>(10 * e);
    const auto format = [&](int64_t i) { return formats[static_cast<size_t>(i) % formats.size()]; };
    all.emplace_back(
        PackedLinear(RandomFloats(2 * f * d, seed + 1, scale).data(), nullptr, d, 2 * f, format(e),
                     IsScaled(format(e)) ? 32 : 0),
        PackedLinear(RandomFloats(o * f, seed + 2, scale).data(), nullptr, f, o, format(e + 3)),
        nullptr, e % 2 == 0 ? Activation::kSwiGlu : Activation::kClampedSwiGlu, false);
  }
  return PackedMoe(std::move(all));
}

TEST_P(MoeFfnTest, ExpertsMayDifferInTheFormatOfEachMatrix) {
  constexpr int64_t kExperts = 9, d = 64, f = 48, o = 40, kRows = 40, k = 2;
  const PackedMoe moe = MixedMoe(kExperts, d, f, o);
  const Ints ids = RandomIds(kRows * k, kExperts, 4);
  const std::vector<float> weights = RandomFloats(kRows * k, 5), x = RandomFloats(kRows * d, 6);
  const std::vector<float> y = Compute(impl(), moe.weights(), ids, k, weights, x);
  // What passes between two products of bfloat16 is rounded to it.
  EXPECT_LE(RelativeError(y, Compute(reference(), moe.weights(), ids, k, weights, x)), 5e-3);
  for (int64_t t = 0; t < kRows; ++t) {
    const std::vector<float> alone =
        Compute(impl(), moe.weights(), {ids.begin() + t * k, ids.begin() + (t + 1) * k}, k,
                {weights.begin() + t * k, weights.begin() + (t + 1) * k},
                {x.begin() + t * d, x.begin() + (t + 1) * d});
    ASSERT_TRUE(SameBits(alone.data(), y.data() + t * o, o)) << t;
  }
}

// silu(1) * up = silu(1) (e + 1) / silu(1): expert e returns e + 1, so a mix-up shows as an
// integer.
TEST_P(MoeFfnTest, EachPairMeetsItsExpert) {
  constexpr int64_t kExperts = 6;
  const float silu_of_one = 0.731058579f;
  std::vector<float> gate(kExperts, 1.0f), up, down(kExperts, 1.0f);
  for (int64_t e = 0; e < kExperts; ++e) up.push_back(static_cast<float>(e + 1) / silu_of_one);
  const PackedMoe moe(gate.data(), up.data(), down.data(), kExperts, 1, 1, 1);
  const Ints ids = {0, 5, 3, 3, -1, 2, 4, 1, -1, -1};
  const std::vector<float> weights = {1, 10, 1, 10, 1, 10, 1, 10, 1, 10}, x(5, 1.0f);
  const std::vector<float> y = Compute(impl(), moe.weights(), ids, 2, weights, x);
  const std::vector<float> expected = {61, 44, 30, 25, 0};
  for (size_t t = 0; t < 5; ++t) EXPECT_NEAR(y[t], expected[t], 1e-4) << t;
}

// One expert's rows: none, one, and around the block of rows.
TEST_P(MoeFfnTest, AnyNumberOfRowsPerExpert) {
  const PackedMoe moe = RandomMoe(3, 8, 12, 8);
  for (int64_t rows :
       {int64_t{1}, kGatedMlpRowBlock - 1, kGatedMlpRowBlock, kGatedMlpRowBlock + 1}) {
    const Ints ids(static_cast<size_t>(rows), 1);
    const std::vector<float> weights(static_cast<size_t>(rows), 0.5f),
        x = RandomFloats(rows * 8, 6);
    EXPECT_LE(RelativeError(Compute(impl(), moe.weights(), ids, 1, weights, x),
                            Compute(reference(), moe.weights(), ids, 1, weights, x)),
              kTolerance)
        << rows;
  }
}

TEST_P(MoeFfnTest, RowAloneEqualsRowInAnyBatch) {
  constexpr int64_t kRows = 67, k = 2, d = 20;
  const PackedMoe moe = RandomMoe(3, d, 37, d);
  const Ints ids = RandomIds(kRows * k, 3, 4);
  const std::vector<float> weights = RandomFloats(kRows * k, 5), x = RandomFloats(kRows * d, 6);
  std::vector<float> alone;
  for (int64_t t = 0; t < kRows; ++t) {
    const std::vector<float> y =
        Compute(impl(), moe.weights(), {ids.begin() + t * k, ids.begin() + (t + 1) * k}, k,
                {weights.begin() + t * k, weights.begin() + (t + 1) * k},
                {x.begin() + t * d, x.begin() + (t + 1) * d});
    alone.insert(alone.end(), y.begin(), y.end());
  }
  for (int64_t rows = 1; rows <= kRows; ++rows) {
    const std::vector<float> y =
        Compute(impl(), moe.weights(), {ids.begin(), ids.begin() + rows * k}, k, weights, x);
    ASSERT_TRUE(SameBits(y.data(), alone.data(), rows * d)) << rows;
  }
}

TEST_P(MoeFfnTest, PermutingTokensPermutesRows) {
  constexpr int64_t kRows = 31, d = 12;
  const PackedMoe moe = RandomMoe(4, d, 9, d);
  Ints ids = RandomIds(kRows, 4, 4);
  std::vector<float> weights = RandomFloats(kRows, 5), x = RandomFloats(kRows * d, 6);
  const std::vector<float> y = Compute(impl(), moe.weights(), ids, 1, weights, x);
  std::vector<float> backwards;
  for (int64_t t = kRows - 1; t >= 0; --t) {
    backwards.insert(backwards.end(), x.begin() + t * d, x.begin() + (t + 1) * d);
  }
  std::reverse(ids.begin(), ids.end());
  std::reverse(weights.begin(), weights.end());
  const std::vector<float> z = Compute(impl(), moe.weights(), ids, 1, weights, backwards);
  for (int64_t t = 0; t < kRows; ++t) {
    EXPECT_TRUE(SameBits(y.data() + t * d, z.data() + (kRows - 1 - t) * d, d)) << t;
  }
}

TEST_P(MoeFfnTest, RowsWithoutExpertsAreTheResidual) {
  const PackedMoe moe = RandomMoe(2, 3, 4, 3);
  const std::vector<float> x = RandomFloats(6, 6), residual = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(Compute(impl(), moe.weights(), {-1, -1}, 1, {kNan, 1}, x, residual.data()), residual);
}

TEST_P(MoeFfnTest, NanStaysInItsRow) {
  constexpr int64_t d = 12;
  const PackedMoe moe = RandomMoe(2, d, 9, d);
  std::vector<float> x = RandomFloats(5 * d, 6);
  x[2 * d + 1] = kNan;
  const std::vector<float> y =
      Compute(impl(), moe.weights(), {0, 1, 0, 1, 0}, 1, std::vector<float>(5, 1.0f), x);
  for (int64_t i = 0; i < 5 * d; ++i) EXPECT_EQ(std::isnan(y[i]), i / d == 2) << i;
}

TEST_P(MoeFfnTest, EmptyWorkAndPlansOfOtherBatches) {
  const PackedMoe moe = RandomMoe(2, 3, 4, 3);
  MoeFfnArgs args;
  args.w = moe.weights();
  args.k = 1;
  EXPECT_TRUE(impl().run(args).ok());
  Ints counts = {1, 1}, offsets = {0, 1, 2}, src = {0, 1}, dst = {0, 1};
  std::vector<float> x(3), y(3), weights(1);
  GuardedWorkspace workspace(MoeFfnWorkspaceBytes(args.w, 1, 1));
  args = {
      moe.weights(),  1,        1,       {counts.data(), offsets.data(), src.data(), dst.data()},
      weights.data(), x.data(), nullptr, y.data(),
      workspace.get()};
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
