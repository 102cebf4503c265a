// Results do not depend on how many threads share the work: linear, gated_mlp, moe_ffn.

#include <algorithm>
#include <functional>
#include <memory>

#include "kernels/device/thread_pool.h"
#include "kernels/moe_ffn/moe_ffn.h"
#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

constexpr int kThreads[] = {1, 2, 3, 5, 8};

// compute(pool, threads) fills one result; the same bits for every pool, and for none.
void ExpectSameBits(
    const std::function<std::vector<float>(ThreadPool* pool, int threads)>& compute) {
  const std::vector<float> alone = compute(nullptr, 1);
  for (float v : alone) ASSERT_FALSE(std::isnan(v));
  for (int threads : kThreads) {
    ThreadPool pool(threads);
    for (int again = 0; again < 3; ++again) {
      const std::vector<float> y = compute(&pool, threads);
      ASSERT_TRUE(SameBits(y.data(), alone.data(), static_cast<int64_t>(alone.size())))
          << threads << " threads";
    }
  }
}

Workspace With(GuardedWorkspace& memory, ThreadPool* pool) {
  Workspace workspace = memory.get();
  workspace.pool = pool;
  return workspace;
}

PackedLinear RandomLinear(int64_t in, int64_t out, WeightFormat format, uint32_t seed,
                          bool bias = false) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(std::max<int64_t>(in, 1)));
  const std::vector<float> weight = RandomFloats(in * out, seed, scale);
  const std::vector<float> added = RandomFloats(out, seed + 1);
  return PackedLinear(weight.data(), bias ? added.data() : nullptr, in, out, format,
                      IsScaled(format) && in % 32 == 0 ? 32 : 0);
}

using LinearThreadsTest = KernelTest<LinearImpl, LinearImpls>;
INSTANTIATE_TEST_SUITE_P(All, LinearThreadsTest, testing::ValuesIn(Names(LinearImpls())),
                         ParamName);

struct LinearShape {
  int64_t rows, in, out;
};

// Worth sharing all but the first; odd tails; several blocks of rows.
constexpr LinearShape kLinearShapes[] = {
    {1, 9, 5}, {1, 512, 1055}, {3, 257, 1301}, {97, 96, 261}, {331, 640, 133}};

TEST_P(LinearThreadsTest, AnyNumberOfThreadsGivesTheSameBits) {
  for (const LinearShape& s : kLinearShapes) {
    for (WeightFormat format : WeightFormats()) {
      if (impl().name == reference().name && format != WeightFormat::kInt4) continue;  // slow
      const PackedLinear packed = RandomLinear(s.in, s.out, format, 1, true);
      const int64_t stride = s.out + 3;
      const std::vector<float> x = RandomFloats(s.rows * s.in, 3);
      const std::vector<float> residual = RandomFloats(s.rows * stride, 4);
      ExpectSameBits([&](ThreadPool* pool, int threads) {
        std::vector<float> y(static_cast<size_t>(s.rows * stride), 7.0f);
        GuardedWorkspace memory(LinearWorkspaceBytes(packed.weights(), s.rows, threads));
        EXPECT_TRUE(impl()
                        .run({packed.weights(), s.rows, x.data(), 0, y.data(), stride,
                              residual.data(), With(memory, pool)})
                        .ok());
        EXPECT_TRUE(memory.GuardIntact());
        return y;
      });
    }
  }
}

TEST_P(LinearThreadsTest, WithoutRoomForAllThreadsTheCallerRunsAlone) {
  const PackedLinear packed = RandomLinear(256, 4096, WeightFormat::kInt8, 1);
  const std::vector<float> x = RandomFloats(2 * 256, 3);
  ThreadPool pool(4);
  std::vector<float> alone, short_of_room;
  for (std::vector<float>* y : {&alone, &short_of_room}) {
    *y = Poison(2 * 4096);
    GuardedWorkspace memory(LinearWorkspaceBytes(packed.weights(), 2));
    EXPECT_TRUE(impl()
                    .run({packed.weights(), 2, x.data(), 0, y->data(), 0, nullptr,
                          With(memory, y == &alone ? nullptr : &pool)})
                    .ok());
    EXPECT_TRUE(memory.GuardIntact());
  }
  EXPECT_TRUE(SameBits(alone.data(), short_of_room.data(), 2 * 4096));
}

TEST_P(LinearThreadsTest, EmptyWorkAndMistakesAreWhatTheyAreAlone) {
  const PackedLinear packed = RandomLinear(64, 256, WeightFormat::kF32, 1);
  ThreadPool pool(3);
  const Workspace workspace = {nullptr, 0, &pool};
  EXPECT_TRUE(impl().run({packed.weights(), 0, nullptr, 0, nullptr, 0, nullptr, workspace}).ok());
  std::vector<float> x(64 * 100), y(256 * 100);
  EXPECT_EQ(
      impl().run({packed.weights(), 100, x.data(), 0, y.data(), 255, nullptr, workspace}).code,
      Code::kInvalidArgument);
}

using GatedMlpThreadsTest = KernelTest<GatedMlpImpl, GatedMlpImpls>;
INSTANTIATE_TEST_SUITE_P(All, GatedMlpThreadsTest, testing::ValuesIn(Names(GatedMlpImpls())),
                         ParamName);

TEST_P(GatedMlpThreadsTest, AnyNumberOfThreadsGivesTheSameBits) {
  if (impl().name == reference().name) GTEST_SKIP() << "runs in the caller's thread";
  for (int64_t rows : {1, 5, 100}) {
    constexpr int64_t d = 264, f = 519;
    const PackedGatedMlp mlp(RandomLinear(d, 2 * f, WeightFormat::kBf16, 1),
                             RandomLinear(f, d, WeightFormat::kInt8, 2), RandomFloats(d, 4).data(),
                             Activation::kGeGluErf, true);
    const std::vector<float> x = RandomFloats(rows * d, 5, 2.0f);
    ExpectSameBits([&](ThreadPool* pool, int threads) {
      std::vector<float> y = x;  // in place
      GuardedWorkspace memory(GatedMlpWorkspaceBytes(mlp.weights(), rows, threads));
      EXPECT_TRUE(impl().run({mlp.weights(), rows, y.data(), y.data(), With(memory, pool)}).ok());
      EXPECT_TRUE(memory.GuardIntact());
      return y;
    });
  }
}

using MoeThreadsTest = KernelTest<MoeFfnImpl, MoeFfnImpls>;
INSTANTIATE_TEST_SUITE_P(All, MoeThreadsTest, testing::ValuesIn(Names(MoeFfnImpls())), ParamName);

// A format of its own for every matrix, tails everywhere.
PackedMoe MixedMoe(int64_t experts, int64_t d, int64_t f, int64_t o) {
  const auto formats = WeightFormats();
  std::vector<PackedGatedMlp> all;
  for (int64_t e = 0; e < experts; ++e) {
    const auto format = [&](int64_t i) { return formats[static_cast<size_t>(i) % formats.size()]; };
    const auto seed = static_cast<uint32_t>(10 * e);
    all.emplace_back(RandomLinear(d, 2 * f, format(e), seed),
                     RandomLinear(f, o, format(e + 3), seed + 3), nullptr,
                     e % 2 == 0 ? Activation::kSwiGlu : Activation::kClampedSwiGlu, false);
  }
  return PackedMoe(std::move(all));
}

void ExpectSameMoe(const MoeFfnImpl& impl, const MoeWeights& w, const std::vector<int32_t>& ids,
                   int64_t k) {
  const int64_t rows = static_cast<int64_t>(ids.size()) / k;
  const std::vector<float> weights = RandomFloats(rows * k, 5);
  const std::vector<float> x = RandomFloats(rows * w.d, 6), residual = RandomFloats(rows * w.o, 7);
  std::vector<int32_t> counts(static_cast<size_t>(w.count)),
      offsets(static_cast<size_t>(w.count) + 1), src(ids.size()), dst(ids.size());
  const PlanView plan = {counts.data(), offsets.data(), src.data(), dst.data()};
  ASSERT_TRUE(RoutePlan({rows, k, w.count, ids.data(), plan}).ok());
  ExpectSameBits([&](ThreadPool* pool, int threads) {
    std::vector<float> y(static_cast<size_t>(rows * w.o), kNan);
    GuardedWorkspace memory(MoeFfnWorkspaceBytes(w, rows, k, threads));
    EXPECT_TRUE(impl.run({w, rows, k, plan, weights.data(), x.data(), residual.data(), y.data(),
                          With(memory, pool)})
                    .ok());
    EXPECT_TRUE(memory.GuardIntact());
    return y;
  });
}

TEST_P(MoeThreadsTest, AnyNumberOfThreadsGivesTheSameBits) {
  if (impl().name == reference().name) GTEST_SKIP() << "runs in the caller's thread";
  const PackedMoe moe = MixedMoe(9, 161, 300, 139);
  std::mt19937 random(3);
  for (int64_t rows : {1, 7, 130}) {
    std::vector<int32_t> ids(static_cast<size_t>(2 * rows));
    for (int32_t& id : ids) id = static_cast<int32_t>(random() % 10) - 1;
    ExpectSameMoe(impl(), moe.weights(), ids, 2);
  }
}

TEST_P(MoeThreadsTest, OneExpertMayTakeAllOrNone) {
  if (impl().name == reference().name) GTEST_SKIP() << "runs in the caller's thread";
  const PackedMoe moe = MixedMoe(4, 161, 300, 139);
  ExpectSameMoe(impl(), moe.weights(), std::vector<int32_t>(200, 2), 1);
  ExpectSameMoe(impl(), moe.weights(), std::vector<int32_t>(3, 2), 1);
  ExpectSameMoe(impl(), moe.weights(), std::vector<int32_t>(64, -1), 1);
}

TEST_P(MoeThreadsTest, NoRowsTouchNothing) {
  const PackedMoe moe = MixedMoe(4, 33, 20, 33);
  ThreadPool pool(3);
  MoeFfnArgs args;
  args.w = moe.weights();
  args.k = 1;
  args.workspace.pool = &pool;
  EXPECT_TRUE(impl().run(args).ok());
}

}  // namespace
}  // namespace penstock::kernels
